package crdt_test

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// cpuTimed returns the processor time that f takes on its thread: what else the machine does then hardly disturbs the
// ratios.
func cpuTimed(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadTime()
	f()
	return threadTime() - start
}

func threadTime() time.Duration {
	const threadCPU = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPU, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}
