#include <string.h>
#include "onnxruntime_c_api.h"

// text returns NULL for success, else an error's text that the caller frees.
static inline char *text(const OrtApi *api, OrtStatus *status) {
	if (status == NULL) return NULL;
	char *copy = strdup(api->GetErrorMessage(status));
	api->ReleaseStatus(status);
	return copy;
}
