package hosts

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A router carries packets between the hosts, which know of no other way.
type router struct {
	weather weather
	seed    uint64

	mu      sync.Mutex
	devices map[string]*os.File   // of hosts, by name
	where   map[netip.Addr]string // which host has an address
	lines   map[[2]string]*line   // from and to
	side    map[string]int        // of a partition; a host without one is cut off from nobody
	counts  traffic
	flying  sync.WaitGroup // packets that are under way
	reading sync.WaitGroup // devices
}

// Traffic is what became of packets since the router was made.
type traffic struct {
	sent, bytes int // IPv4 packets that hosts have sent
	lost        int // by bad luck
	cut         int // by a partition
	stray       int // to an address that no host has
	damaged     int // with a wrong checksum, which none should have
}

func (c traffic) String() string {
	return fmt.Sprintf("%d packets, %d KiB: %d lost (%.1f %%), %d cut off, %d to nobody",
		c.sent, c.bytes>>10, c.lost, 100*float64(c.lost)/float64(max(c.sent, 1)), c.cut, c.stray)
}

func newRouter(w weather, seed uint64) *router {
	return &router{
		weather: w, seed: seed, devices: make(map[string]*os.File), where: make(map[netip.Addr]string),
		lines: make(map[[2]string]*line), side: make(map[string]int),
	}
}

// attach carries what a host sends from now on.
func (r *router) attach(host string, device *os.File) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.devices[host] = device
	r.reading.Go(func() { r.read(host, device) })
}

// route has packets to an address go to a host.
func (r *router) route(to netip.Addr, host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.where[to] = host
}

// unroute has them go nowhere.
func (r *router) unroute(to netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.where, to)
}

// part cuts hosts of different groups off from one another, both ways, and packets that are
// under way with them. Without groups all is as before.
func (r *router) part(groups ...[]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.side)
	for i, group := range groups {
		for _, host := range group {
			r.side[host] = i
		}
	}
}

func (r *router) apart(a, b string) bool {
	i, one := r.side[a]
	j, other := r.side[b]
	return one && other && i != j
}

func (r *router) traffic() traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// close ends all that the router does. Hosts have no network then.
func (r *router) close() {
	r.mu.Lock()
	devices := slices.Collect(maps.Values(r.devices))
	r.mu.Unlock()
	for _, d := range devices {
		_ = d.Close()
	}
	r.reading.Wait()
	r.flying.Wait()
}

func (r *router) read(host string, device *os.File) {
	buf := make([]byte, 1<<16)
	for {
		n, err := device.Read(buf)
		if err != nil {
			return // closed
		}
		r.send(host, slices.Clone(buf[:n]))
	}
}

// send has a packet arrive after its time, if it does.
func (r *router) send(from string, packet []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to, after, ok := r.decide(from, packet)
	if !ok {
		return
	}
	r.flying.Add(1)
	time.AfterFunc(after, func() {
		defer r.flying.Done()
		if device := r.arrive(from, to); device != nil {
			_, _ = device.Write(packet) // a host that is gone misses it
		}
	})
}

// decide says where a packet goes and what becomes of it. r.mu is held.
func (r *router) decide(from string, packet []byte) (to string, after time.Duration, ok bool) {
	addr, err := destination(packet)
	if errors.Is(err, errForeign) {
		return "", 0, false
	}
	r.counts.sent++
	r.counts.bytes += len(packet)
	if err != nil {
		r.counts.damaged++
		return "", 0, false
	}
	if to, ok = r.where[addr]; !ok {
		r.counts.stray++
		return "", 0, false
	}
	if r.apart(from, to) {
		r.counts.cut++
		return "", 0, false
	}
	link := [2]string{from, to}
	if r.lines[link] == nil {
		r.lines[link] = newLine(r.weather, r.seed, from, to)
	}
	after, lost := r.lines[link].next()
	if lost {
		r.counts.lost++
	}
	return to, after, !lost
}

// arrive returns the device of a host that can be reached.
func (r *router) arrive(from, to string) *os.File {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.apart(from, to) {
		r.counts.cut++
		return nil
	}
	return r.devices[to]
}

// openTUN makes a network device whose packets are read and written here. It is gone when it
// is closed. Nothing is offloaded to it, so packets come whole, with their checksums.
func openTUN(name string) (*os.File, error) {
	const (
		setInterface = 0x400454ca // TUNSETIFF, on amd64 and arm64
		plainPackets = 0x1001     // IFF_TUN, IFF_NO_PI
	)
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:len(request.name)-1], name)
	request.flags = plainPackets
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), setInterface, uintptr(unsafe.Pointer(&request))); errno != 0 {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("TUNSETIFF %s: %w", name, errno)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil // waits like a socket, so Close ends a Read
}
