// SPDX-License-Identifier: Apache-2.0

package main

// mutation makes the code naive.
type mutation struct {
	pitfall int
	naive   string // what its author did not know
	edits   []edit
	tests   []string // that must fail: the package's folder, a dot, and the test's name
}

// edit replaces code that is in a file once.
type edit struct{ file, old, new string }

// mutations are at least one for each of the pitfalls, which provider/pitfalls_test.go lists.
var mutations = []mutation{
	{
		1, "the pod is left to Virtual Kubelet when its VM is gone",
		[]edit{{"provider/deletion.go", `if err := p.removeFromAPI(ctx, e); err != nil {`, `if err := error(nil); err != nil {`}},
		[]string{"provider.TestDeleteRemovesVMAndPodAtOnce"},
	},
	{
		2, "Virtual Kubelet may remove a pod from the API before its VM",
		[]edit{{"provider/deletion.go", `if err == nil && pod.DeletionTimestamp != nil &&`, `if false && err == nil && pod.DeletionTimestamp != nil &&`}},
		[]string{"provider.TestDeletionsWithARealAPIServer", "provider.TestVirtualKubeletsForcedDeletionsAreOrderly"},
	},
	{
		3, "a guest may take as long as it likes to stop",
		[]edit{{"provider/deletion.go", `p.deleter.Delete(ctx, e.id, time.Until(e.deadline))`, `p.deleter.Delete(ctx, e.id, time.Minute)`}},
		[]string{"provider.TestDeleteOfAStubbornPodEndsWithItsGracePeriod", "provider.TestShorterGracePeriodOvertakesALongerOne"},
	},
	{
		3, "a failed deletion is not tried again",
		[]edit{{"provider/converge.go", `		if e.overtaken() {
			continue
		}
`, `		if e.deleting() {
			return
		}
`}},
		[]string{"provider.TestDeleteIsTriedUntilItWorks"},
	},
	{
		4, "VMs are never compared with pods",
		[]edit{{"provider/reconcile.go", `if e.deleting() || p.listed(e.pod) {`, `if true || e.deleting() || p.listed(e.pod) {`}},
		[]string{"provider.TestAVMWithoutAPodIsRemoved", "provider.TestAVMWithoutAPodIsSoonRemovedAfterAStart"},
	},
	{
		4, "a pod that the lister lacks is taken for gone",
		[]edit{{"provider/reconcile.go", `if there, err := p.inAPI(ctx, e.pod); there != nil || err != nil {`, `if false {`}},
		[]string{"provider.TestAStaleListerRemovesNoVM"},
	},
	{
		5, "a pod is known by its name",
		[]edit{{"provider/provider.go", `if current, err := p.config.Pods.Pods(namespace).Get(name); err == nil {`, `if current, err := p.config.Pods.Pods(namespace).Get(name); err != nil {`}},
		[]string{"provider.TestAnEarlierPodOfTheSameNameIsNotThisOne"},
	},
	{
		5, "that a pod was replaced, Virtual Kubelet will say",
		[]edit{{"provider/cache.go", `if _, known := c.get(pod.UID); !known {`, `if _, known := c.get(pod.UID); false && !known {`}},
		[]string{"provider.TestTheVMOfAPodThatWasReplacedIsRemoved"},
	},
	{
		6, "a provider begins without knowing its VMs",
		[]edit{{"provider/converge.go", `	update.Changed = slices.DeleteFunc(`, `	if update.Sync {
		update.Changed = nil
	}
	update.Changed = slices.DeleteFunc(`}},
		[]string{"provider.TestRestartFindsItsPods"},
	},
	{
		6, "a pod that ran and has no VM gets another",
		[]edit{{"provider/converge.go", `case e.needsVM() && hasRun(p.current(e.pod)):`, `case false:`}},
		[]string{"provider.TestAVMThatWentWhileNoProviderRanIsNotMadeAnew", "provider.TestAVMThatWasMovedWhileNoProviderRanIsFound"},
	},
	{
		7, "an updated pod gets a new VM",
		[]edit{{"provider/provider.go", `	return p.CreatePod(ctx, pod)
`, `	if e, ok := p.cache.get(pod.UID); ok && e.id != "" {
		if err := p.deleter.Delete(ctx, e.id, 0); err != nil {
			return err
		}
	}
	return p.CreatePod(ctx, pod)
`}},
		[]string{"provider.TestCreateAndUpdateAreIdempotent"},
	},
	{
		8, "an update is not supported",
		[]edit{{"provider/provider.go", `	return p.CreatePod(ctx, pod)
`, `	return edge(errs.New("provider.UpdatePod", errs.Invalid, "pod %s/%s: not supported", pod.Namespace, pod.Name))
`}},
		[]string{"provider.TestCreateAndUpdateAreIdempotent"},
	},
	{
		9, "the status that Virtual Kubelet was told is what it writes",
		[]edit{{"provider/write.go", `UpdateStatus(ctx, o.provider.view(e), options)`, `UpdateStatus(ctx, cmp.Or(pod, e.pod), options)`}, {"provider/write.go", `	"context"
`, `	"cmp"
	"context"
`}},
		[]string{"provider.TestAStatusUndoesNoLabel"},
	},
	{
		9, "a pod's metadata is that of when it was created",
		[]edit{{"provider/provider.go", `Get(pod.Name); err == nil && current.UID == pod.UID {
		return current`, `Get(pod.Name); err == nil && current.UID == pod.UID {
		return pod`}},
		[]string{"provider.TestCreateAndUpdateAreIdempotent"},
	},
	{
		10, "vSphere is asked what is known of a pod",
		[]edit{{"provider/provider.go", `	return p.render(entry), nil
`, `	if err := p.config.Portlayer.Find(context.Background(), string(entry.pod.UID)); err != nil {
		return nil, edge(err)
	}
	return p.render(entry), nil
`}},
		[]string{"provider.TestPodsAreKnownWithoutVSphere"},
	},
	{
		10, "what was known is forgotten with the watch",
		[]edit{{"provider/converge.go", `	if update.Lost != nil {
`, `	if update.Lost != nil {
		for _, e := range p.cache.all() {
			p.cache.forget(e.pod.UID)
		}
`}},
		[]string{"provider.TestPodsAreKnownWithoutVSphere", "provider.TestWhatHappenedWhileTheWatchWasLost"},
	},
	{
		11, "Virtual Kubelet resolves the environment",
		[]edit{{"provider/run.go", `SkipDownwardAPIResolution:            true,`, `SkipDownwardAPIResolution:            false,`}},
		[]string{"provider.TestAPodMayReferToItselfWithARealAPIServer"},
	},
	{
		12, "what was not read yet is taken for absent",
		[]edit{{"provider/guests/check.go", `known = known && read`, `known = known || read`}},
		[]string{"provider/guests.TestCheckSaysWhatCannotBeRead"},
	},
	{
		12, "a pod's VM is made whether or not there is what it refers to",
		[]edit{{"provider/references.go", `	return check.Complete
`, `	return true
`}},
		[]string{"provider.TestAPodWaitsForWhatItRefersTo"},
	},
	{
		13, "a failed create is Virtual Kubelet's to try again",
		[]edit{{"provider/converge.go", `		p.cache.trouble(uid, err)
		p.notices.add(uid)
		select {
`, `		p.cache.trouble(uid, err)
		p.notices.add(uid)
		if !e.deleting() {
			return
		}
		select {
`}},
		[]string{"provider.TestFailureThatPassesIsTriedAgain"},
	},
	{
		14, "a node without its vCenter does not answer",
		[]edit{{"provider/node.go", `error { return ctx.Err() }`, `error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}`}},
		[]string{"provider.TestNodeStaysReadyWithoutVSphere"},
	},
	{
		15, "one pod is worked on at a time",
		[]edit{{"provider/queues.go", `	group sync.WaitGroup // of the workers
`, `	group sync.WaitGroup // of the workers
	one   sync.Mutex
`}, {"provider/queues.go", `			work(uid)
`, `			q.one.Lock()
			work(uid)
			q.one.Unlock()
`}},
		[]string{"provider.TestOnePodNeverWaitsForAnother"},
	},
	{
		16, "the VM of a pod that has ended stays on",
		[]edit{{"provider/converge.go", `		return p.rest(ctx, e)
`, `		return nil
`}},
		[]string{"provider.TestAFinishedPodsVMIsPoweredOffAndItsStatusStays", "provider.TestAFinishedPodsVMIsPoweredOffAsSoonAsTheAPIServerKnows"},
	},
	{
		16, "a pod that has ended may run again",
		[]edit{{"provider/cache.go", `if e.final == nil && ended(status.Phase) {`, `if false {`}},
		[]string{"provider.TestFailedIsFailed"},
	},
	{
		16, "two processes run one node",
		[]edit{{"provider/node_keeper.go", `if other := found.Annotations[annotationInstance]; other != "" && other != k.instance {`, `if other := found.Annotations[annotationInstance]; false && other != "" {`}},
		[]string{"cmd/wolfpack.TestSecondProcessReplacesTheFirst"},
	},
}
