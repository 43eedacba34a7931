package ort

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

var errClosed = errors.New("want an open session, got one that is closed")

// FreeMemory is what is left of the device's memory, in bytes, by what it or the
// machine says: on CUDA within Options.MemoryLimit, on the cpu within the limits
// of the process's control groups. What the session keeps for runs like those
// before is not counted as free.
func (s *session) FreeMemory() (int64, error) {
	if s.memory == nil {
		return 0, errClosed
	}
	if s.memory.cuda == nil {
		return freeMemory(os.DirFS("/"))
	}
	free, err := s.memory.cuda.freeMemory()
	if err == nil && s.opts.MemoryLimit > 0 {
		var used int64
		used, err = s.memory.inUse()
		free = max(0, min(free, s.opts.MemoryLimit-used))
	}
	return free, err
}

// freeMemory is what programs on this machine can still take without swapping, in
// bytes, and within the limits of the process's control groups. root is "/".
func freeMemory(root fs.FS) (int64, error) {
	info, err := numbers(root, "proc/meminfo")
	if err != nil {
		return 0, err
	}
	free, ok := info["MemAvailable:"]
	if !ok {
		return 0, errors.New("/proc/meminfo: want MemAvailable, got none")
	}
	free *= 1024
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return free, nil // a kernel without control groups
	}
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path; version 2 has no controllers.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[1] == "":
			free = min(free, leftInGroups(root, "sys/fs/cgroup", parts[2], "memory.max", "memory.current", "inactive_file"))
		case strings.Contains(parts[1], "memory"):
			free = min(free, leftInGroups(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
		}
	}
	return free, nil
}

// leftInGroups is the least that a control group or one above it has left. File
// pages that have not been used for a while count as free.
func leftInGroups(root fs.FS, mount, group, limit, usage, idle string) int64 {
	least := int64(1) << 62
	for {
		at := path.Join(mount, group)
		most, limited := number(root, path.Join(at, limit))
		used, known := number(root, path.Join(at, usage))
		if limited && known {
			stat, _ := numbers(root, path.Join(at, "memory.stat"))
			least = min(least, max(0, most-used+min(used, stat[idle])))
		}
		// In a container the path may be that of the host, which is not there.
		if group == "/" || group == "." || group == "" {
			return least
		}
		group = path.Dir(group)
	}
}

// number reads a file of one number; "max" is none.
func number(root fs.FS, name string) (int64, bool) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return n, err == nil
}

// numbers reads a file of lines that are a word and a number.
func numbers(root fs.FS, name string) (map[string]int64, error) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", name, err)
	}
	out := map[string]int64{}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		if n, err := strconv.ParseInt(words[1], 10, 64); err == nil {
			out[words[0]] = n
		}
	}
	return out, nil
}
