package benchmark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/olric-data/olric"
	"github.com/olric-data/olric/config"
)

// olrics are three embedded members of Olric. ReplicaCount counts the primary: 3 is
// one primary and two backups of each partition. A put goes to the primary, which
// writes to one backup after the other and then to itself; a get goes there too, and
// asks both backups at once. Either waits for all, however many the quorum needs.
type olrics struct {
	members []*olric.Olric
	maps    []olric.DMap
}

func startOlric(ctx context.Context) (cluster, error) {
	c := &olrics{}
	var seeds []string
	for range members {
		seed, err := c.join(ctx, seeds)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		seeds = append(seeds, seed)
	}
	for _, m := range c.members {
		dm, err := m.NewEmbeddedClient().NewDMap("benchmark")
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.maps = append(c.maps, dm)
	}
	if err := c.settle(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// join starts one more member, and returns where the next one finds it.
func (c *olrics) join(ctx context.Context, seeds []string) (seed string, err error) {
	cfg, err := olricConfig(seeds)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	started, failed := make(chan struct{}), make(chan error, 1)
	cfg.Started = func() { close(started) }
	m, err := olric.New(cfg)
	if err != nil {
		return "", err
	}
	c.members = append(c.members, m)
	go func() { failed <- m.Start() }()
	select {
	case <-started:
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(cfg.MemberlistConfig.BindPort)), nil
	case err := <-failed:
		return "", fmt.Errorf("olric has not started: %w", err)
	case <-ctx.Done():
		return "", fmt.Errorf("olric has not started: %w", ctx.Err())
	}
}

// olricConfig leaves alone what does not have to be otherwise.
func olricConfig(seeds []string) (*config.Config, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	cfg := config.New("local")
	cfg.BindAddr, cfg.BindPort = "127.0.0.1", ports[0]
	cfg.MemberlistConfig = memberlist.DefaultLocalConfig()
	cfg.MemberlistConfig.BindAddr, cfg.MemberlistConfig.BindPort = "127.0.0.1", ports[1]
	cfg.Peers = seeds
	cfg.ReplicaCount, cfg.ReadQuorum, cfg.WriteQuorum = members, quorumOf, quorumOf
	cfg.LeaveTimeout = 500 * time.Millisecond
	cfg.LogLevel, cfg.LogVerbosity = config.LogLevelError, 1
	cfg.Logger = log.New(io.Discard, "", 0)
	return cfg, nil
}

// freePorts returns ports that were free on loopback a moment ago: Olric takes no
// listener, and no port of zero.
func freePorts(n int) (ports []int, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// settle waits until all members know that each partition has one primary and two
// backups.
func (c *olrics) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !c.settled(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("olric has not spread its partitions: %w", ctx.Err())
		}
	}
	return nil
}

func (c *olrics) settled(ctx context.Context) bool {
	for _, m := range c.members {
		routes, err := m.NewEmbeddedClient().RoutingTable(ctx)
		if err != nil || len(routes) == 0 {
			return false
		}
		for _, r := range routes {
			if len(r.PrimaryOwners) != 1 || len(r.ReplicaOwners) != members-1 {
				return false
			}
		}
	}
	return true
}

func (c *olrics) close() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, m := range c.members {
		err = errors.Join(err, m.Shutdown(ctx))
	}
	return err
}

func (c *olrics) put(ctx context.Context, member int, key, value string) error {
	return c.maps[member].Put(ctx, key, value)
}

func (c *olrics) get(ctx context.Context, member int, key string) (string, error) {
	r, err := c.maps[member].Get(ctx, key)
	if err != nil {
		return "", err
	}
	return r.String()
}
