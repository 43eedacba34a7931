// libcuda, the driver: the provider only wants to see that it is there.
#include "trace.h"

extern "C" {

DOES_NOTHING(cuTensorMapEncodeTiled)

} // extern "C"
