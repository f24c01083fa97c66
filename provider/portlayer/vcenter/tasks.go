// SPDX-License-Identifier: Apache-2.0

package vcenter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	// askAfter is how long a task may be without news before it is asked for. vCenter lists at most 200 recent tasks, so
	// on a busy one ours can drop out of the list that is watched.
	askAfter = 15 * time.Second
	// remembered bounds the ended tasks that are kept for a waiter who comes after the news.
	remembered = 1024
)

// tasks gives out the results of tasks, as the watch sees them end.
type tasks struct {
	client   *vim25.Client
	askAfter time.Duration

	mu      sync.Mutex                                           // guards all below
	waiting map[types.ManagedObjectReference]chan types.TaskInfo // one waiter a task; each channel has room for its one value
	ended   map[types.ManagedObjectReference]types.TaskInfo      // that nobody has waited for yet
	order   []types.ManagedObjectReference                       // of ended, oldest first
}

func newTasks(client *vim25.Client) *tasks {
	return &tasks{
		client:   client,
		askAfter: askAfter,
		waiting:  map[types.ManagedObjectReference]chan types.TaskInfo{},
		ended:    map[types.ManagedObjectReference]types.TaskInfo{},
	}
}

// saw takes news of a task from the watch.
func (t *tasks) saw(info types.TaskInfo) {
	if info.State != types.TaskInfoStateSuccess && info.State != types.TaskInfoStateError {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if waiter, ok := t.waiting[info.Task]; ok {
		delete(t.waiting, info.Task)
		waiter <- info
		return
	}
	if _, ok := t.ended[info.Task]; ok {
		return
	}
	t.ended[info.Task] = info
	if t.order = append(t.order, info.Task); len(t.order) > remembered {
		delete(t.ended, t.order[0])
		t.order = t.order[1:]
	}
}

// wait returns the result of a task that succeeded. It is an error if the task fails or ctx ends first.
func (t *tasks) wait(ctx context.Context, ref types.ManagedObjectReference) (types.AnyType, error) {
	news := t.news(ref)
	defer t.forget(ref)
	ticker := time.NewTicker(t.askAfter)
	defer ticker.Stop()
	for {
		select {
		case info := <-news:
			return result(info)
		case <-ctx.Done():
			return nil, fmt.Errorf("task %s: %w", ref.Value, ctx.Err())
		case <-ticker.C:
			if err := t.ask(ctx, ref); err != nil {
				return nil, err
			}
		}
	}
}

// news returns the channel on which the end of the task will come, or has come.
func (t *tasks) news(ref types.ManagedObjectReference) <-chan types.TaskInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := make(chan types.TaskInfo, 1)
	if info, ok := t.ended[ref]; ok {
		news <- info
		return news
	}
	t.waiting[ref] = news
	return news
}

func (t *tasks) forget(ref types.ManagedObjectReference) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, ref)
}

// ask reads the task itself. A failure is no news: the next tick asks again, until the waiter's context ends. But a task
// that vCenter does not know any more, since it forgets all when it restarts, is an error.
func (t *tasks) ask(ctx context.Context, ref types.ManagedObjectReference) error {
	ctx, cancel := context.WithTimeout(ctx, t.askAfter)
	defer cancel()
	var object mo.Task
	err := property.DefaultCollector(t.client).RetrieveOne(ctx, ref, []string{"info"}, &object)
	switch {
	case err == nil:
		t.saw(object.Info)
	case fault.Is(err, new(types.ManagedObjectNotFound)):
		return fmt.Errorf("vCenter has forgotten task %s: %w", ref.Value, err)
	}
	return nil
}

func result(info types.TaskInfo) (types.AnyType, error) {
	if info.Error != nil {
		return nil, task.Error{LocalizedMethodFault: info.Error, Description: info.Description}
	}
	if info.State != types.TaskInfoStateSuccess {
		return nil, fmt.Errorf("task %s ended as %s without a reason", info.Task.Value, info.State)
	}
	return info.Result, nil
}
