// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// errExit is the outcome of a function that ended its goroutine, as t.Fatal does.
var errExit = errors.New("the function ended its goroutine instead of returning")

// onThread runs fn on an operating-system thread of its own and ends that thread, so that the
// namespaces that fn entered are left with it. A panic of fn is raised again in the caller.
func onThread(fn func() error) error {
	type outcome struct {
		err   error
		panic any
	}
	done := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread()
		result := outcome{err: errExit}
		defer func() {
			result.panic = recover()
			done <- result
		}()
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot end and is what /proc/self shows: leave it as it is, and
			// keep it busy so that the next goroutine gets another.
			defer runtime.UnlockOSThread()
			result.err = onThread(fn)
			return
		}
		result.err = fn()
	}()
	result := <-done
	if result.panic != nil {
		panic(result.panic)
	}
	return result.err
}

// enterMounts gives the current thread a mount namespace of its own in which resolvConf lies
// over /etc/resolv.conf. All other mounts, cgroup2 and bpffs among them, stay where they are:
// "ip netns exec" mounts a new /sys and so hides both.
func enterMounts(resolvConf string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount(resolvConf, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s over /etc/resolv.conf: %w", resolvConf, err)
	}
	return nil
}
