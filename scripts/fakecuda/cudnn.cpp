// libcudnn, which ONNX Runtime loads when an operator first asks for it.
//
//     FAKECUDA_CUDNN_ERROR      CODE:N, what a handle ends in after N were made
//     FAKECUDA_CUDNN_RUN_ERROR  CODE:N, what running a plan ends in after N went well
//
// The codes are those of cuDNN 9: 4004 is memory.
#include <cstdint>
#include <cstring>

#include "trace.h"

using namespace fakecuda;

namespace {

// As in cudnn_graph.h.
constexpr int attribute_engines = 202, type_int64 = 3, type_int32 = 23, descriptor_plan = 5;

const char *text_of(int code) {
	switch (code) {
	case 0: return "CUDNN_STATUS_SUCCESS";
	case 1001: return "CUDNN_STATUS_NOT_INITIALIZED";
	case 4004: return "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED";
	default: return "CUDNN_STATUS_INTERNAL_ERROR";
	}
}

thread_local int last_error = 0;

int make(void **descriptor) {
	*descriptor = calloc(1, 4096);
	return 0;
}

int drop(void *descriptor) {
	free(descriptor);
	return 0;
}

} // namespace

extern "C" {

size_t cudnnGetVersion() { return 91300; }
const char *cudnnGetErrorString(int code) { return text_of(code); }
void cudnnGetLastErrorString(char *text, size_t size) { snprintf(text, size, "%s", text_of(last_error)); }

int cudnnCreate(void **handle) {
	static Failure ordered("FAKECUDA_CUDNN_ERROR");
	last_error = ordered.next();
	trace("create what=cudnn error=%d", last_error);
	*handle = last_error == 0 ? calloc(1, 4096) : nullptr;
	return last_error;
}
int cudnnDestroy(void *handle) { return drop(handle); }
int cudnnSetStream(void *, void *) { return 0; }
int cudnnGetStream(void *, void **stream) {
	*stream = nullptr;
	return 0;
}

// The graph interface: a graph is described, one engine is proposed for whatever it is,
// and a plan is made of that and run. What is asked in numbers, such as the size of a
// workspace, is 0.
int cudnnBackendCreateDescriptor(int type, void **descriptor) {
	if (type == descriptor_plan) trace("create what=cudnn-plan error=0");
	return make(descriptor);
}
int cudnnBackendDestroyDescriptor(void *descriptor) { return drop(descriptor); }
int cudnnBackendSetAttribute() { return 0; }
int cudnnBackendFinalize() { return 0; }
int cudnnBackendGetAttribute(void *, int attribute, int type, int64_t room, int64_t *count, void *values) {
	bool number = type == type_int64 || type == type_int32;
	if (count != nullptr) *count = number || attribute == attribute_engines;
	if (number && values != nullptr && room > 0) memset(values, 0, type == type_int64 ? 8 : 4);
	return 0;
}
int cudnnBackendExecute() {
	static Failure ordered("FAKECUDA_CUDNN_RUN_ERROR");
	last_error = ordered.next();
	trace("launch error=%d kernel=cudnnBackendExecute", last_error);
	return last_error;
}

int cudnnGetReductionIndicesSize(void *, void *, void *, void *, size_t *size) { return *size = 0; }
int cudnnGetReductionWorkspaceSize(void *, void *, void *, void *, size_t *size) { return *size = 0; }
int cudnnReduceTensor() {
	trace("launch error=0 kernel=cudnnReduceTensor");
	return 0;
}
int cudnnSoftmaxForward() {
	trace("launch error=0 kernel=cudnnSoftmaxForward");
	return 0;
}

int cudnnCreateTensorDescriptor(void **d) { return make(d); }
int cudnnDestroyTensorDescriptor(void *d) { return drop(d); }
int cudnnCreateReduceTensorDescriptor(void **d) { return make(d); }
int cudnnDestroyReduceTensorDescriptor(void *d) { return drop(d); }
int cudnnSetTensorNdDescriptor() { return 0; }
int cudnnSetTensor4dDescriptor() { return 0; }
int cudnnSetReduceTensorDescriptor() { return 0; }

// No decoder asks for what follows; the provider wants to find it.
DOES_NOTHING(cudnnActivationForward) DOES_NOTHING(cudnnAddTensor)
DOES_NOTHING(cudnnBatchNormalizationForwardInference) DOES_NOTHING(cudnnBatchNormalizationForwardTraining)
DOES_NOTHING(cudnnConvolutionBiasActivationForward) DOES_NOTHING(cudnnConvolutionForward)
DOES_NOTHING(cudnnCreateActivationDescriptor) DOES_NOTHING(cudnnCreateConvolutionDescriptor)
DOES_NOTHING(cudnnCreateDropoutDescriptor) DOES_NOTHING(cudnnCreateFilterDescriptor)
DOES_NOTHING(cudnnCreateLRNDescriptor) DOES_NOTHING(cudnnCreatePoolingDescriptor)
DOES_NOTHING(cudnnCreateRNNDataDescriptor) DOES_NOTHING(cudnnCreateRNNDescriptor)
DOES_NOTHING(cudnnDeriveBNTensorDescriptor) DOES_NOTHING(cudnnDestroyActivationDescriptor)
DOES_NOTHING(cudnnDestroyConvolutionDescriptor) DOES_NOTHING(cudnnDestroyDropoutDescriptor)
DOES_NOTHING(cudnnDestroyFilterDescriptor) DOES_NOTHING(cudnnDestroyLRNDescriptor)
DOES_NOTHING(cudnnDestroyPoolingDescriptor) DOES_NOTHING(cudnnDestroyRNNDataDescriptor)
DOES_NOTHING(cudnnDestroyRNNDescriptor) DOES_NOTHING(cudnnDropoutGetStatesSize)
DOES_NOTHING(cudnnFindConvolutionForwardAlgorithmEx) DOES_NOTHING(cudnnGetConvolutionForwardAlgorithm_v7)
DOES_NOTHING(cudnnGetConvolutionForwardWorkspaceSize) DOES_NOTHING(cudnnGetRNNTempSpaceSizes)
DOES_NOTHING(cudnnGetRNNWeightParams) DOES_NOTHING(cudnnGetTensorNdDescriptor)
DOES_NOTHING(cudnnLRNCrossChannelForward) DOES_NOTHING(cudnnPoolingForward) DOES_NOTHING(cudnnRNNForward)
DOES_NOTHING(cudnnSetActivationDescriptor) DOES_NOTHING(cudnnSetConvolutionGroupCount)
DOES_NOTHING(cudnnSetConvolutionMathType) DOES_NOTHING(cudnnSetConvolutionNdDescriptor)
DOES_NOTHING(cudnnSetDropoutDescriptor) DOES_NOTHING(cudnnSetFilterNdDescriptor)
DOES_NOTHING(cudnnSetLRNDescriptor) DOES_NOTHING(cudnnSetPoolingNdDescriptor)
DOES_NOTHING(cudnnSetRNNDataDescriptor) DOES_NOTHING(cudnnSetRNNDescriptor_v8)

} // extern "C"
