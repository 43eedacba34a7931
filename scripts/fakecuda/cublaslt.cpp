// libcublasLt: matrix multiplies with an epilogue.
#include <cstring>

#include "trace.h"

using namespace fakecuda;

static int make(void **handle) {
	*handle = calloc(1, 4096);
	return 0;
}

static int drop(void *handle) {
	free(handle);
	return 0;
}

extern "C" {

int cublasLtCreate(void **handle) {
	trace("create what=cublasLt");
	return make(handle);
}
int cublasLtDestroy(void *handle) { return drop(handle); }

// The one algorithm that is proposed is all zeros: it needs no workspace.
int cublasLtMatmulAlgoGetHeuristic(void *, void *, void *, void *, void *, void *, void *, int, void *result, int *found) {
	memset(result, 0, 96); // sizeof(cublasLtMatmulHeuristicResult_t)
	*found = 1;
	return 0;
}
int cublasLtMatmul() {
	trace("multiply name=cublasLtMatmul");
	return 0;
}

int cublasLtMatmulDescCreate(void **handle) { return make(handle); }
int cublasLtMatmulDescDestroy(void *handle) { return drop(handle); }
int cublasLtMatmulPreferenceCreate(void **handle) { return make(handle); }
int cublasLtMatmulPreferenceDestroy(void *handle) { return drop(handle); }
int cublasLtMatrixLayoutCreate(void **handle) { return make(handle); }
int cublasLtMatrixLayoutDestroy(void *handle) { return drop(handle); }
int cublasLtMatrixTransformDescCreate(void **handle) { return make(handle); }
int cublasLtMatrixTransformDescDestroy(void *handle) { return drop(handle); }
int cublasLtMatmulDescSetAttribute() { return 0; }
int cublasLtMatmulPreferenceSetAttribute() { return 0; }
int cublasLtMatrixLayoutSetAttribute() { return 0; }

DOES_NOTHING(cublasLtMatmulAlgoInit) DOES_NOTHING(cublasLtMatmulAlgoConfigSetAttribute)
DOES_NOTHING(cublasLtMatrixTransform)

} // extern "C"
