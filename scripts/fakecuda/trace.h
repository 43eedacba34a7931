// What the stand-ins share: their settings, which come from the environment, and
// their log, one line a call:
//
//     TID EVENT key=value key=value ...
//
// The last key of a launch is a kernel's mangled name; c++filt makes it readable.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace fakecuda {

inline unsigned long long setting(const char *name, unsigned long long otherwise) {
	const char *text = getenv(name);
	return text == nullptr || *text == 0 ? otherwise : strtoull(text, nullptr, 10);
}

// trace writes a line. Each library has a descriptor of its own for one file, so
// that a line is one write, which O_APPEND keeps whole.
__attribute__((format(printf, 1, 2))) inline void trace(const char *format, ...) {
	static const int log = [] {
		const char *path = getenv("FAKECUDA_LOG");
		return path == nullptr ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	}();
	if (log < 0) return;
	char line[2048];
	int n = snprintf(line, sizeof line, "%ld ", syscall(SYS_gettid));
	va_list args;
	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - n - 1, format, args);
	va_end(args);
	n = std::min<int>(n, sizeof line - 2);
	line[n++] = '\n';
	if (write(log, line, n) != n) abort();
}

// Failure is an error that the environment orders: CODE, or CODE:N for one that
// comes only after N calls went well.
class Failure {
  public:
	explicit Failure(const char *name) {
		const char *text = getenv(name);
		int after = 0;
		if (text != nullptr) sscanf(text, "%d:%d", &code_, &after);
		left_ = after;
	}
	// next is a call's result: 0, or the code.
	int next() { return code_ == 0 || left_-- > 0 ? 0 : code_; }

  private:
	int code_ = 0;
	std::atomic<int> left_;
};

} // namespace fakecuda

// DOES_NOTHING defines a function that is logged, and succeeds. It takes whatever
// arguments the caller passes: in C's calling conventions these are the caller's.
#define DOES_NOTHING(name) \
	int name() { \
		fakecuda::trace("call name=" #name); \
		return 0; \
	}
