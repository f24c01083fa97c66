// SPDX-License-Identifier: Apache-2.0

package telemetrytest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"wolfpack/telemetry"
)

// versions are those that run, the newest, which most have, first.
var (
	esxVersions = [][2]string{{"8.0.3", "24022510"}, {"8.0.2", "22380479"}, {"7.0.3", "23794027"}}
	vchVersions = [][3]string{{"v1.6.0", "412", "8fa3c1d"}, {"v1.5.6", "20873", "1e41e9c"}, {"v1.5.0-rc2", "18994", "7e15d5a"}}
	guests      = []string{"Photon", "Redhat", "Windows"}
)

// Sized is a vCenter with this many VCHs, and hosts, VMs and container VMs to match. The same number gives the same report.
func Sized(vchs int) *telemetry.Report {
	random := rand.New(rand.NewPCG(3645, uint64(vchs)))
	r := Empty()
	r.VCenter.Name, r.VCenter.InstanceUUID = "vcenter.example.com", "9f0c6d1e-7b52-4c1e-9a35-2f6e8f2b7a10"
	addHosts(r, max(1, (vchs*8+6)/7))
	addVCHs(r, vchs, random)
	addVMs(r)
	r.Lifetime = lifetime(r, random)
	r.Unassigned = min(vchs/3, 5)
	q := &r.Quality
	for _, c := range r.VMs {
		q.Objects += c.Count
	}
	q.Objects += len(r.Hosts) + len(r.Clusters)
	q.Pages = q.Objects/1000 + 2
	q.Requests = q.Pages + 4
	q.Took = time.Duration(q.Objects) * 150 * time.Microsecond
	return r
}

// addHosts fills clusters of eight, the last datacenter's with hosts of their own.
func addHosts(r *telemetry.Report, n int) {
	for i := range n {
		cluster := fmt.Sprintf("%s-%02d", []string{"prod", "edge", "build"}[i/8%3], i/24+1)
		datacenter := []string{"Berlin", "Dublin"}[i/8%2]
		version := esxVersions[min(i*4/n, 2)]
		host := telemetry.Host{
			Datacenter: datacenter, Cluster: cluster, Name: fmt.Sprintf("esx-%03d.%s.example.com", i+1, strings.ToLower(datacenter)),
			MoID: fmt.Sprintf("host-%d", 1000+i), State: "connected", Version: version[0], Build: version[1],
		}
		if i%13 == 12 {
			host.State = "notResponding"
		}
		at := slices.IndexFunc(r.Clusters, func(c telemetry.Cluster) bool { return c.Datacenter == datacenter && c.Name == cluster })
		if at < 0 {
			at = len(r.Clusters)
			r.Clusters = append(r.Clusters, telemetry.Cluster{
				Datacenter: datacenter, Name: cluster, MoID: fmt.Sprintf("domain-c%d", 10+at), Hosts: map[string]int{},
			})
		}
		r.Clusters[at].Hosts[host.State]++
		r.Hosts = append(r.Hosts, host)
	}
}

// addVCHs puts VCHs on hosts at random, each with container VMs: few have many.
func addVCHs(r *telemetry.Report, n int, random *rand.Rand) {
	teams := []string{"payments", "search", "ci", "web", "ledger", "batch", "maps", "mail", "shop", "risk", "video", "ads"}
	kinds := map[telemetry.ContainerVMCount]int{}
	for i := range n {
		host := &r.Hosts[random.IntN(len(r.Hosts))]
		host.VCHs++
		version := vchVersions[min(i*4/max(n, 1), 2)]
		v := telemetry.VCH{
			Datacenter: host.Datacenter, Cluster: host.Cluster, Host: host.Name, Name: fmt.Sprintf("%s-%02d", teams[i%len(teams)], i/len(teams)+1),
			MoID: fmt.Sprintf("vm-%d", 2000+i), OS: "Photon", Version: version[0], Build: version[1], Commit: version[2], PowerState: "poweredOn",
			ContainerVMs: int(180 / float64(i%20+1) * (0.6 + 0.8*random.Float64())),
		}
		if i%9 == 8 {
			v.ContainerVMs, v.PowerState = 0, "poweredOff"
		}
		for range v.ContainerVMs {
			kind := telemetry.ContainerVMCount{
				Datacenter: v.Datacenter, Cluster: v.Cluster, OS: guests[max(0, random.IntN(10)-7)], Version: v.Version, PowerState: "poweredOn",
			}
			if random.IntN(12) == 0 {
				kind.PowerState = "poweredOff"
			}
			kinds[kind]++
		}
		r.VCHs = append(r.VCHs, v)
	}
	for kind, n := range kinds {
		kind.Count = n
		r.ContainerVMs = append(r.ContainerVMs, kind)
	}
	slices.SortFunc(r.ContainerVMs, func(a, b telemetry.ContainerVMCount) int {
		return cmp.Or(strings.Compare(a.Datacenter, b.Datacenter), strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.OS, b.OS),
			strings.Compare(a.Version, b.Version), strings.Compare(a.PowerState, b.PowerState))
	})
}

// addVMs counts all VMs: endpoint VMs, container VMs, and half as many others.
func addVMs(r *telemetry.Report) {
	for _, c := range r.Clusters {
		counts := map[string]int{}
		for _, v := range r.VCHs {
			if v.Datacenter == c.Datacenter && v.Cluster == c.Name {
				counts[v.PowerState]++
			}
		}
		for _, v := range r.ContainerVMs {
			if v.Datacenter == c.Datacenter && v.Cluster == c.Name {
				counts[v.PowerState] += v.Count
			}
		}
		counts["suspended"] = counts["poweredOn"] / 100
		counts["poweredOn"] += counts["poweredOn"]/2 + 3
		for _, state := range []string{"poweredOff", "poweredOn", "suspended"} {
			if counts[state] > 0 {
				r.VMs = append(r.VMs, telemetry.VMCount{Datacenter: c.Datacenter, Cluster: c.Name, PowerState: state, Count: counts[state]})
			}
		}
		r.VMs = append(r.VMs, telemetry.VMCount{Datacenter: c.Datacenter, Cluster: c.Name, PowerState: "poweredOff", Template: true, Count: 2})
	}
}

// lifetime is made of lives such as container VMs have: most are short, few very long.
func lifetime(r *telemetry.Report, random *rand.Rand) *telemetry.Lifetime {
	living := 0
	for _, c := range r.ContainerVMs {
		living += c.Count
	}
	deaths := living * 6
	oldest := r.Taken.AddDate(0, 0, -30).Add(-7 * time.Hour)
	t := &telemetry.Lifetime{
		From: r.Taken.AddDate(0, 0, -30), To: r.Taken, Histograms: []telemetry.Histogram{}, Curve: []telemetry.Point{}, OldestEvent: &oldest,
		Living: telemetry.Sample{Count: living}, Completed: telemetry.Sample{Count: deaths}, Exposure: telemetry.Exposure{Deaths: deaths},
		Truncated: deaths / 70, Stitched: living / 200, Inferred: deaths / 300, Unclassified: deaths / 200,
	}
	if living == 0 {
		return t
	}
	t.Living.Mean = 412_345
	lives, sum := make([]float64, deaths), 0.0
	for i := range lives {
		lives[i] = math.Round(min(3200*math.Exp(1.9*random.NormFloat64()), 2_500_000))
		sum += lives[i]
	}
	for i, os := range guests {
		t.Histograms = append(t.Histograms, histogram(os, lives[deaths*[]int{0, 8, 9}[i]/10:deaths*[]int{8, 9, 10}[i]/10]))
	}
	slices.Sort(lives)
	t.Completed.Mean, t.Median, t.P90 = sum/float64(deaths), lives[deaths/2], lives[deaths*9/10]
	t.Exposure.Mean = t.Completed.Mean * 1.15
	t.Exposure.VMSeconds = t.Exposure.Mean * float64(deaths)
	for i := 1; i <= 100; i++ {
		t.Curve = append(t.Curve, telemetry.Point{Seconds: lives[(deaths-1)*i/100], Share: float64((deaths-1)*i/100+1) / float64(deaths)})
	}
	return t
}

func histogram(os string, lives []float64) telemetry.Histogram {
	h := telemetry.Histogram{OS: os, Count: len(lives)}
	for _, upTo := range telemetry.LifetimeBuckets {
		h.Buckets = append(h.Buckets, telemetry.Bucket{UpTo: upTo})
	}
	for _, life := range lives {
		h.Sum += life
		for i := range h.Buckets {
			if life <= h.Buckets[i].UpTo {
				h.Buckets[i].Count++
			}
		}
	}
	return h
}
