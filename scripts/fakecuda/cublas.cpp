// libcublas: matrix multiplies, each of which counts as a launch.
//
//     FAKECUDA_CUBLAS_ERROR  CODE:N, what a handle ends in after N were made: 3 is memory
#include "trace.h"

using namespace fakecuda;

namespace {

struct Status {
	int code;
	const char *name, *text;
};
constexpr Status statuses[] = {
	{0, "CUBLAS_STATUS_SUCCESS", "success"},
	{1, "CUBLAS_STATUS_NOT_INITIALIZED", "the library was not initialized"},
	{3, "CUBLAS_STATUS_ALLOC_FAILED", "the resource allocation failed"},
	{13, "CUBLAS_STATUS_EXECUTION_FAILED", "the GPU program failed to execute"},
};

const Status &status_of(int code) {
	for (const Status &s : statuses)
		if (s.code == code) return s;
	return status_of(13);
}

} // namespace

extern "C" {

int cublasCreate_v2(void **handle) {
	static Failure ordered("FAKECUDA_CUBLAS_ERROR");
	int code = ordered.next();
	trace("create what=cublas error=%d", code);
	*handle = code == 0 ? calloc(1, 4096) : nullptr;
	return code;
}
int cublasDestroy_v2(void *handle) {
	free(handle);
	return 0;
}

const char *cublasGetStatusName(int code) { return status_of(code).name; }
const char *cublasGetStatusString(int code) { return status_of(code).text; }

// Called at every multiply, and of no interest.
int cublasSetStream_v2(void *, void *) { return 0; }
int cublasSetMathMode(void *, int) { return 0; }
int cublasGetMathMode(void *, int *mode) { return *mode = 0; }

int cublasGemmEx(void *, int, int, int m, int n, int k) {
	trace("multiply m=%d n=%d k=%d name=cublasGemmEx", m, n, k);
	return 0;
}
int cublasSgemm_v2(void *, int, int, int m, int n, int k) {
	trace("multiply m=%d n=%d k=%d name=cublasSgemm", m, n, k);
	return 0;
}
int cublasGemmStridedBatchedEx(void *, int, int, int m, int n, int k) {
	trace("multiply m=%d n=%d k=%d name=cublasGemmStridedBatchedEx", m, n, k);
	return 0;
}
int cublasSgemmStridedBatched(void *, int, int, int m, int n, int k) {
	trace("multiply m=%d n=%d k=%d name=cublasSgemmStridedBatched", m, n, k);
	return 0;
}

DOES_NOTHING(cublasGemmBatchedEx) DOES_NOTHING(cublasSgemmBatched) DOES_NOTHING(cublasDgemm_v2)
DOES_NOTHING(cublasDgemmBatched) DOES_NOTHING(cublasDgemmStridedBatched) DOES_NOTHING(cublasSgeam)
DOES_NOTHING(cublasDgeam) DOES_NOTHING(cublasSgetrfBatched) DOES_NOTHING(cublasDgetrfBatched)
DOES_NOTHING(cublasSgetriBatched) DOES_NOTHING(cublasDgetriBatched) DOES_NOTHING(cublasScopy_v2)
DOES_NOTHING(cublasSscal_v2)

} // extern "C"
