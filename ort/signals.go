package ort

/*
#include <signal.h>
#include <string.h>

// The CUDA provider puts handlers of its own over Go's, without SA_ONSTACK; the
// next Ctrl+C then kills the process in place of ending the run. So the
// handlers are kept and put back round every call that may start it.
enum { last_signal = 64 };

static void save(struct sigaction *kept) {
	for (int s = 1; s <= last_signal; s++) {
		if (sigaction(s, NULL, &kept[s]) != 0) {
			memset(&kept[s], 0, sizeof kept[s]);
		}
	}
}

static void restore(const struct sigaction *kept) {
	for (int s = 1; s <= last_signal; s++) {
		struct sigaction now;
		if (sigaction(s, NULL, &now) == 0 && now.sa_sigaction != kept[s].sa_sigaction) {
			sigaction(s, &kept[s], NULL);
		}
	}
}
*/
import "C"

// saveSignals keeps the process's signal handlers and returns a function that
// puts back those that were changed since.
func saveSignals() (restore func()) {
	var kept [C.last_signal + 1]C.struct_sigaction
	C.save(&kept[0])
	return func() { C.restore(&kept[0]) }
}
