// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"wolfpack/errs"
	"wolfpack/provider/operations"
	"wolfpack/provider/portlayer"
)

// These tests let each step of each operation fail, and each undo: what is asked of the seams then, and nothing else. What
// is left in the end is asserted on the portlayer with state, in operations_test.go.

const theVM portlayer.ID = "vm-1"

var (
	errStep = errs.New("test", errs.Unavailable, "the step fails")
	errUndo = errs.New("test", errs.Denied, "the undo fails")
)

// seams are the mocks of one test, which fails if they are not asked what it says.
type seams struct {
	portlayer *MockPortlayer_Expecter
	images    *MockImageStore_Expecter
}

func (s seams) off(err error)    { s.portlayer.AwaitOff(mock.Anything, theVM).Return(err).Once() }
func (s seams) stop(err error)   { s.portlayer.Stop(mock.Anything, theVM).Return(err).Once() }
func (s seams) start(err error)  { s.portlayer.Start(mock.Anything, theVM).Return(err).Once() }
func (s seams) remove(err error) { s.portlayer.Remove(mock.Anything, theVM).Return(err).Once() }
func (s seams) ask(err error)    { s.portlayer.Shutdown(mock.Anything, theVM).Return(err).Once() }

func (s seams) create(id portlayer.ID, err error) {
	s.portlayer.Create(mock.Anything, mock.Anything).Return(id, err).Once()
}

func (s seams) prepare(err error) { s.images.Prepare(mock.Anything, mock.Anything).Return(err).Once() }

func (s seams) release(err error) { s.images.Release(mock.Anything, mock.Anything).Return(err).Once() }

func newSeams(t *testing.T) (seams, *MockPortlayer, *MockImageStore) {
	p, i := NewMockPortlayer(t), NewMockImageStore(t)
	return seams{p.EXPECT(), i.EXPECT()}, p, i
}

func TestEachStepOfPodCreator(t *testing.T) {
	badImage := func(p *corev1.Pod) { p.Spec.Containers[0].Image = "App:1" }
	badOS := func(p *corev1.Pod) { p.Annotations = map[string]string{operations.GuestOSAnnotation: "beos"} }
	taken := errs.New("test", errs.Exists, "taken")
	cases := map[string]struct {
		change func(*corev1.Pod)
		expect func(seams)
		kind   errs.Kind
		says   []string // nothing: the pod is created
	}{
		"every step works": {
			expect: func(s seams) { s.prepare(nil); s.create(theVM, nil); s.start(nil) },
		},
		"the pod has a VM already": {
			expect: func(s seams) { s.prepare(nil); s.create(theVM, taken); s.start(nil) },
		},
		"check the images' names fails": {
			change: badImage, expect: func(seams) {}, kind: errs.Invalid,
			says: []string{`check the images' names: image "App:1" of container "app": invalid reference format`, "want one such as"},
		},
		"plan the VM fails": {
			change: badOS, expect: func(seams) {}, kind: errs.Invalid, says: []string{`plan the VM: annotation wolfpack.guest-os`},
		},
		"prepare the images fails": {
			expect: func(s seams) { s.prepare(errStep) },
			kind:   errs.Unavailable, says: []string{"prepare the images: the step fails"},
		},
		"create the VM fails": {
			expect: func(s seams) { s.prepare(nil); s.create("", errStep); s.release(nil) },
			kind:   errs.Unavailable, says: []string{"create the VM: the step fails"},
		},
		"create the VM fails, the name is another's": {
			expect: func(s seams) { s.prepare(nil); s.create("", taken); s.release(nil) },
			kind:   errs.Exists, says: []string{"create the VM: taken"},
		},
		"create the VM and release the images fail": {
			expect: func(s seams) { s.prepare(nil); s.create("", errStep); s.release(errUndo) },
			kind:   errs.Unavailable, says: []string{"create the VM: the step fails", `undo of "prepare the images": the undo fails`},
		},
		"start the VM fails": {
			expect: func(s seams) {
				s.prepare(nil)
				s.create(theVM, nil)
				s.start(errStep)
				s.off(nil)
				s.remove(nil)
				s.release(nil)
			},
			kind: errs.Unavailable, says: []string{"start the VM: power on: the step fails"},
		},
		"start a VM that was found fails: it stays": {
			expect: func(s seams) { s.prepare(nil); s.create(theVM, taken); s.start(errStep); s.release(nil) },
			kind:   errs.Unavailable, says: []string{"start the VM: power on: the step fails"},
		},
		"start the VM fails though it runs: it stays": {
			expect: func(s seams) {
				s.prepare(nil)
				s.create(theVM, nil)
				s.start(errStep)
				s.off(context.Canceled)
				s.release(nil)
			},
			kind: errs.Unavailable, says: []string{"start the VM: power on: the step fails"},
		},
		"start the VM and remove it fail": {
			expect: func(s seams) {
				s.prepare(nil)
				s.create(theVM, nil)
				s.start(errStep)
				s.off(nil)
				s.remove(errUndo)
				s.release(nil)
			},
			kind: errs.Unavailable, says: []string{"start the VM: power on: the step fails", `undo of "create the VM": the undo fails`},
		},
		"start the VM and every undo fail": {
			expect: func(s seams) {
				s.prepare(nil)
				s.create(theVM, nil)
				s.start(errStep)
				s.off(nil)
				s.remove(errUndo)
				s.release(errors.New("nor this"))
			},
			kind: errs.Unavailable, says: []string{
				"start the VM: power on: the step fails",
				`undo of "create the VM": the undo fails`, `undo of "prepare the images": nor this`,
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, host, images := newSeams(t)
			tc.expect(s)
			p := pod()
			if tc.change != nil {
				tc.change(p)
			}
			id, err := operations.PodCreator{Portlayer: host, Images: images, VCH: "v"}.Create(t.Context(), p)
			if len(tc.says) == 0 {
				require.NoError(t, err)
				require.Equal(t, theVM, id)
				return
			}
			require.Equal(t, tc.kind, errs.KindOf(err), "the first error's kind counts: %v", err)
			for _, text := range tc.says {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestAnUndoHasAContextOfItsOwn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, host, images := newSeams(t)
	s.prepare(nil)
	s.portlayer.Create(mock.Anything, mock.Anything).Run(func(context.Context, portlayer.Spec) { cancel() }).Return(theVM, nil).Once()
	s.off(nil)
	alive := func(ctx context.Context) bool { _, bounded := ctx.Deadline(); return ctx.Err() == nil && bounded }
	s.portlayer.Remove(mock.MatchedBy(alive), theVM).Return(nil).Once()
	s.images.Release(mock.MatchedBy(alive), mock.Anything).Return(nil).Once()
	_, err := operations.PodCreator{Portlayer: host, Images: images, VCH: "v"}.Create(ctx, pod())
	require.ErrorIs(t, err, context.Canceled)
}

func TestEachStepOfPodStarter(t *testing.T) {
	s, host, _ := newSeams(t)
	s.start(errStep)
	err := operations.PodStarter{Portlayer: host}.Start(t.Context(), theVM)
	require.EqualError(t, err, "power on: the step fails")
	s.start(nil)
	require.NoError(t, operations.PodStarter{Portlayer: host}.Start(t.Context(), theVM))
}

func TestEachStepOfPodStopper(t *testing.T) {
	gone := errs.New("test", errs.NotFound, "gone")
	cases := map[string]struct {
		grace  time.Duration
		expect func(seams)
		says   string
	}{
		"every step works":            {time.Hour, func(s seams) { s.ask(nil); s.off(nil); s.off(nil) }, ""},
		"shut down the guest fails":   {time.Hour, func(s seams) { s.ask(errStep); s.off(context.Canceled); s.stop(nil) }, ""},
		"the guest takes too long":    {time.Hour, func(s seams) { s.ask(nil); s.off(errStep); s.off(context.Canceled); s.stop(nil) }, ""},
		"power off fails":             {0, func(s seams) { s.off(context.Canceled); s.stop(errStep) }, "power off: the step fails"},
		"power off finds it gone":     {0, func(s seams) { s.off(context.Canceled); s.stop(gone) }, ""},
		"both fail":                   {time.Hour, func(s seams) { s.ask(errUndo); s.off(context.Canceled); s.stop(errStep) }, "power off: the step fails"},
		"it is off before it is told": {0, func(s seams) { s.off(nil) }, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, host, _ := newSeams(t)
			tc.expect(s)
			err := operations.PodStopper{Portlayer: host}.Stop(t.Context(), theVM, tc.grace)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.says)
		})
	}
}

func TestEachStepOfPodDeleter(t *testing.T) {
	gone := errs.New("test", errs.NotFound, "gone")
	cases := map[string]struct {
		expect func(seams)
		says   string
	}{
		"every step works":     {func(s seams) { s.off(nil); s.remove(nil) }, ""},
		"stop the VM fails":    {func(s seams) { s.off(context.Canceled); s.stop(errStep) }, "stop the VM: power off: the step fails"},
		"destroy the VM fails": {func(s seams) { s.off(nil); s.remove(errStep) }, "destroy the VM: the step fails"},
		"it is gone":           {func(s seams) { s.off(nil); s.remove(gone) }, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, host, _ := newSeams(t)
			tc.expect(s)
			err := operations.PodDeleter{Portlayer: host}.Delete(t.Context(), theVM, 0)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.says)
		})
	}
}

func TestImageReferences(t *testing.T) {
	for _, good := range []string{
		"app", "app:1", "foo/bar/baz", "localhost:5000/app", "registry.example.com/team/app:1.2@sha256:" + digest, "[::1]:5000/app:v1",
	} {
		require.NoError(t, operations.CheckImage(corev1.Container{Name: "app", Image: good}), good)
	}
	for _, bad := range []string{"", " ", "App", "app:", "app:1 ", "app@sha256:abc", "http://example.com/app", "-app", "app:-1", digest} {
		err := operations.CheckImage(corev1.Container{Name: "app", Image: bad})
		var invalid *operations.InvalidImage
		require.ErrorAs(t, err, &invalid, bad)
		require.Equal(t, bad, invalid.Image)
	}
}

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestEveryContainersImageIsChecked(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"init": func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "bad", Image: "Bad"}}
		},
		"second": func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "bad", Image: "Bad"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := pod()
			change(p)
			_, host, images := newSeams(t)
			_, err := operations.PodCreator{Portlayer: host, Images: images, VCH: "v"}.Create(t.Context(), p)
			var invalid *operations.InvalidImage
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, "bad", invalid.Container)
		})
	}
}
