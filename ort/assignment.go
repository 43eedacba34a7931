package ort

/*
#include <stdlib.h>
#include "status.h"

static char *part_count(const OrtApi *api, const OrtSession *session, const OrtEpAssignedSubgraph *const **parts, size_t *n) {
	return text(api, api->Session_GetEpGraphAssignmentInfo(session, parts, n));
}

static char *part_at(const OrtApi *api, const OrtEpAssignedSubgraph *const *parts, size_t i,
		const char **provider, const OrtEpAssignedNode *const **nodes, size_t *n) {
	OrtStatus *status = api->EpAssignedSubgraph_GetEpName(parts[i], provider);
	if (status == NULL) status = api->EpAssignedSubgraph_GetNodes(parts[i], nodes, n);
	return text(api, status);
}

static char *operator_at(const OrtApi *api, const OrtEpAssignedNode *const *nodes, size_t i, const char **op) {
	return text(api, api->EpAssignedNode_GetOperatorType(nodes[i], op));
}
*/
import "C"

import (
	"fmt"
	"slices"
	"strings"

	onnx "github.com/yalue/onnxruntime_go"
)

// recordAssignment is the session's entry that has it remember which provider
// runs which node.
const recordAssignment = "session.record_ep_graph_assignment_info"

// assigned counts a graph's nodes by provider and operator.
type assigned map[string]map[string]int

// assignments asks a session, made with recordAssignment, who runs what.
func assignments(session *onnx.DynamicAdvancedSession) (assigned, error) {
	api, err := ortAPI()
	if err != nil {
		return nil, err
	}
	s, err := sessionPointer(session)
	if err != nil {
		return nil, err
	}
	var parts **C.OrtEpAssignedSubgraph
	var n C.size_t
	if err := failure(C.part_count(api, (*C.OrtSession)(s), &parts, &n)); err != nil {
		return nil, err
	}
	out := assigned{}
	for i := range n {
		var provider, op *C.char
		var nodes **C.OrtEpAssignedNode
		var count C.size_t
		if err := failure(C.part_at(api, parts, i, &provider, &nodes, &count)); err != nil {
			return nil, err
		}
		name := C.GoString(provider)
		if out[name] == nil {
			out[name] = map[string]int{}
		}
		for j := range count {
			if err := failure(C.operator_at(api, nodes, j, &op)); err != nil {
				return nil, err
			}
			out[name][C.GoString(op)]++
		}
	}
	return out, nil
}

// shapeArithmetic are the operators that ONNX Runtime leaves on the cpu where they
// compute shapes and lengths, single numbers that kernels want there. CUDA has
// kernels for each: nothing else puts them on the cpu.
var shapeArithmetic = []string{"Add", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Gather", "Greater", "GreaterOrEqual",
	"Less", "LessOrEqual", "Max", "Min", "Mul", "Range", "ReduceMax", "Reshape", "Shape", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where"}

// onCPU says which nodes of a session that was meant for another provider run on
// the cpu, those that compute shapes left out; "" for none.
func (a assigned) onCPU() string {
	all, here := 0, 0
	var ops []string
	for provider, counts := range a {
		for op, n := range counts {
			all += n
			if provider == "CPUExecutionProvider" && !slices.Contains(shapeArithmetic, op) {
				here += n
				ops = append(ops, op)
			}
		}
	}
	if here == 0 {
		return ""
	}
	slices.Sort(ops)
	return fmt.Sprintf("%d of the graph's %d nodes run on the cpu: %s", here, all, strings.Join(ops, ", "))
}
