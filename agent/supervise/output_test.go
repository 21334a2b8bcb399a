package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func testOutput(t *testing.T) *output {
	return &output{path: filepath.Join(t.TempDir(), "output.log"), size: 100, files: 2}
}

func write(t *testing.T, o *output, text string) {
	t.Helper()
	f, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOutputRotates(t *testing.T) {
	o := testOutput(t)
	if err := o.rotate(); err != nil {
		t.Fatalf("before the first start: %v", err)
	}
	for _, part := range []string{"a", "b", "c", "d"} {
		write(t, o, strings.Repeat(part, 250)+"\n")
		if err := o.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	write(t, o, "short\n")
	if err := o.rotate(); err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"short\n", strings.Repeat("d", 199) + "\n", strings.Repeat("c", 199) + "\n"} {
		if got, err := os.ReadFile(o.older(n)); err != nil || string(got) != want {
			t.Errorf("file %d is %q, %v", n, got, err)
		}
	}
	if _, err := os.Stat(o.older(3)); err == nil {
		t.Error("there is a file too many")
	}
}

func size(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		panic(err)
	}
	return info.Size()
}

// A service that writes all the time loses nothing to rotation.
func TestOutputRotationLosesNothing(t *testing.T) {
	o := &output{path: filepath.Join(t.TempDir(), "output.log"), size: 64 << 10, files: 100}
	service, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Close() }()
	if _, err := service.Write(make([]byte, 2*collapseUnit)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(int(service.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, collapseUnit); err != nil {
		t.Skipf("this file system cannot cut off the head of a file: %v", err)
	}
	if err := service.Truncate(0); err != nil {
		t.Fatal(err)
	}
	const n = 50_000
	written := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < n && err == nil; i++ {
			_, err = fmt.Fprintf(service, "line %d\n", i)
			for err == nil && size(service) > o.size*3/2 { // more at once than an older file takes
				runtime.Gosched()
			}
		}
		written <- err
	}()
	for done := false; !done; {
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
		if err := o.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	var all, want strings.Builder
	for older := o.files; older >= 0; older-- {
		b, err := os.ReadFile(o.older(older))
		if err == nil {
			all.Write(b)
		} else if older <= 1 {
			t.Fatal(err)
		}
	}
	for i := range n {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if all.String() != want.String() {
		t.Fatalf("%d bytes are left of %d", all.Len(), want.Len())
	}
}

func TestOutputTail(t *testing.T) {
	o := testOutput(t)
	if got, err := o.tail(10); got != nil || err != nil {
		t.Fatalf("before the first start: %q, %v", got, err)
	}
	for i := range 3 {
		var text strings.Builder
		for j := range 20 {
			fmt.Fprintf(&text, "%d-%d\n", i, j)
		}
		write(t, o, text.String())
		if i < 2 {
			if err := o.rotate(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n, first := range map[int]string{1: "2-19", 20: "2-0", 21: "1-19", 30: "1-10"} {
		got, err := o.tail(n)
		if err != nil || len(got) != n || got[0] != first || got[n-1] != "2-19" {
			t.Errorf("%d lines: %q, %v", n, got, err)
		}
	}
	write(t, o, "no end \xff")
	if got, err := o.tail(2); err != nil || !reflect.DeepEqual(got, []string{"2-19", "no end \uFFFD"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestOutputTailIsBounded(t *testing.T) {
	o := testOutput(t)
	long := strings.Repeat("x", maxTail-100)
	write(t, o, long+"\n"+long+"\nlast\n")
	got, err := o.tail(10)
	if n := len(strings.Join(got, "")); err != nil || len(got) != 10 || n != 9*maxLine+len("last")-(maxLine-len(long)%maxLine) || got[9] != "last" {
		t.Fatalf("%d lines of %d bytes, %v", len(got), n, err)
	}
}
