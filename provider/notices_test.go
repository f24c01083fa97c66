// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

// Of a thousand pods at once nearly all run before it would be the turn of the news that they wait.
func TestNewsThatCanWaitTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNotices()
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 1000 {
			n.addLater(types.UID(fmt.Sprint(i)))
		}
		var runs atomic.Bool
		go n.ripen(ctx, func(types.UID) bool { return !runs.Load() })
		time.Sleep(settling - time.Millisecond)
		synctest.Wait()
		require.Zero(t, n.queue.Len(), "better news may come")
		time.Sleep(time.Second)
		synctest.Wait()
		require.InDelta(t, 2*trickle, n.queue.Len(), 1, "some at once, and then some a second")
		runs.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.InDelta(t, 2*trickle, n.queue.Len(), 2, "the rest is no news any more")

		runs.Store(false)
		n.addLater("single")
		time.Sleep(settling)
		synctest.Wait()
		require.InDelta(t, 2*trickle, n.queue.Len(), 3, "nobody waits behind what is no news")
		cancel()
		n.queue.ShutDown()
	})
}
