package ort

/*
#include <stdlib.h>
#include "status.h"

// arena reads what an allocator counts, 0 for what it does not. It returns NULL for
// success, else a text that the caller frees.
static char *arena(const OrtApi *api, const OrtAllocator *allocator, long long values[4]) {
	static const char *names[] = {"NumArenaExtensions", "TotalAllocated", "InUse", "MaxInUse"};
	OrtKeyValuePairs *stats = NULL;
	OrtStatus *status = api->AllocatorGetStats(allocator, &stats);
	if (status != NULL) return text(api, status);
	for (int i = 0; i < 4; i++) {
		const char *value = api->GetKeyValue(stats, names[i]);
		values[i] = value == NULL ? 0 : atoll(value);
	}
	api->ReleaseKeyValuePairs(stats);
	return NULL;
}
*/
import "C"

// Arena is the memory that ONNX Runtime holds for a session on the device that it
// runs on, weights and tensors, but not the cache of a Decoder.
type Arena struct {
	Grown int64 `json:"grown"` // how often it took more from the device, the weights aside
	Held  int64 `json:"held"`  // bytes that it has taken
	Peak  int64 `json:"peak"`  // bytes of these that were in use at most
	inUse int64 // bytes of these that are
}

// Arena tells of the session's arena since the session was made.
func (s *session) Arena() (Arena, error) {
	if s.memory == nil {
		return Arena{}, errClosed
	}
	return s.memory.arena()
}

func (m *memory) arena() (Arena, error) {
	var v [4]C.longlong
	err := failure(C.arena(m.api, m.allocator, &v[0]))
	return Arena{Grown: int64(v[0]), Held: int64(v[1]), inUse: int64(v[2]), Peak: int64(v[3])}, err
}

// inUse is the bytes of the arena that tensors lie in, the weights among them.
func (m *memory) inUse() (int64, error) {
	a, err := m.arena()
	return a.inUse, err
}
