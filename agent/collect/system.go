package collect

import (
	"context"

	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/net"
)

// loadSamples tells the load averages over 1, 5 and 15 minutes.
func loadSamples(ctx context.Context) ([]Sample, error) {
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []Sample{{Measurement: "load", Fields: map[string]float64{
		"load1":  avg.Load1,
		"load5":  avg.Load5,
		"load15": avg.Load15,
	}}}, nil
}

// processSamples tells the number of processes. The kernel has no such figure:
// they are listed.
func processSamples(ctx context.Context) ([]Sample, error) {
	misc, err := load.MiscWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []Sample{{Measurement: "load", Fields: map[string]float64{"processes": float64(misc.ProcsTotal)}}}, nil
}

// memorySamples tells memory and swap. cached and shared are told of both, as
// MISSION C4 lists them with swap: there cached is what lies in memory and in
// swap alike, and shared is what may be swapped out of shared memory.
func memorySamples(ctx context.Context) ([]Sample, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, err
	}
	swapUsed := m.SwapTotal - m.SwapFree
	return []Sample{
		{Measurement: "mem", Fields: map[string]float64{
			"total":        float64(m.Total),
			"used":         float64(m.Used),
			"free":         float64(m.Free),
			"used_percent": m.UsedPercent,
			"available":    float64(m.Available),
			"cached":       float64(m.Cached),
			"buffers":      float64(m.Buffers),
			"shared":       float64(m.Shared),
		}},
		{Measurement: "swap", Fields: map[string]float64{
			"total":        float64(m.SwapTotal),
			"used":         float64(swapUsed),
			"free":         float64(m.SwapFree),
			"used_percent": percent(swapUsed, m.SwapTotal),
			"cached":       float64(m.SwapCached),
			"shared":       float64(m.Shared),
		}},
	}, nil
}

// percent is the share of part in whole; nothing of nothing is none.
func percent(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole) * 100
}

// netSamples tells the counters of every interface that ever carried a packet.
// Loopback is among them: in a dev fleet it carries everything.
func netSamples(ctx context.Context) ([]Sample, error) {
	counters, err := net.IOCountersWithContext(ctx, true)
	var samples []Sample
	for _, c := range counters {
		if c.PacketsRecv+c.PacketsSent == 0 {
			continue
		}
		samples = append(samples, Sample{
			Measurement: "net",
			Tags:        map[string]string{"interface": c.Name},
			Fields: map[string]float64{
				"bytes_recv":   float64(c.BytesRecv),
				"bytes_sent":   float64(c.BytesSent),
				"packets_recv": float64(c.PacketsRecv),
				"packets_sent": float64(c.PacketsSent),
				"errin":        float64(c.Errin),
				"errout":       float64(c.Errout),
			},
		})
	}
	return samples, err
}
