// SPDX-License-Identifier: Apache-2.0

package telemetry

import "time"

// Lifetime says how long container VMs live. Durations are seconds. Three estimators are given, for each errs in a way of its
// own: the mean of completed lives is too short in a window that cuts the long ones off; the mean age of the living is too
// long, as the long-lived are more likely to be met; the exposure mean, the time that all VMs spent in the window divided by
// the deaths in it, is right if VMs die at a constant rate, and needs no birth date of those that were there before.
type Lifetime struct {
	From time.Time `json:"from"` // the window's, by vCenter's clock
	To   time.Time `json:"to"`

	Completed Sample   `json:"completed"` // lives that ended in the window
	Median    float64  `json:"median"`    // of the completed
	P90       float64  `json:"p90"`
	Living    Sample   `json:"living"`   // ages of those that live
	Exposure  Exposure `json:"exposure"` // zero deaths: no mean

	Histograms []Histogram `json:"histograms"` // of the completed, by OS word
	Curve      []Point     `json:"curve"`      // share of the completed that lived at most so long; at most 100 points

	OldestEvent  *time.Time `json:"oldestEvent"`  // how far back vCenter's events go; nil if there are none
	Truncated    int        `json:"truncated"`    // lives that ended, and whose birth is not known
	Stitched     int        `json:"stitched"`     // times that a VM was registered again and lives on
	FalseRemoved int        `json:"falseRemoved"` // events that told of a removal of a VM that is still there
	Inferred     int        `json:"inferred"`     // removed VMs that are taken for container VMs by their name alone
	Unclassified int        `json:"unclassified"` // removed VMs of which nobody knows what they were
	Vanished     int        `json:"vanished"`     // VMs that are gone though no event told of it; they count in Exposure only
	Clamped      int        `json:"clamped"`      // lives that ended before they began, which count as 0 seconds
}

// Sample is a number of values and their mean.
type Sample struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"` // 0 if there are none
}

// Exposure is what the exposure mean is made of.
type Exposure struct {
	VMSeconds float64 `json:"vmSeconds"` // that container VMs lived in the window
	Deaths    int     `json:"deaths"`    // in the window
	Mean      float64 `json:"mean"`      // 0 if nobody died
}

// Histogram counts completed lives of container VMs with one OS word.
type Histogram struct {
	OS      string   `json:"os"`
	Count   int      `json:"count"`
	Sum     float64  `json:"sum"`
	Buckets []Bucket `json:"buckets"` // one for each of LifetimeBuckets; longer lives are in Count only
}

// Bucket counts the values up to a bound, those of the buckets before it included.
type Bucket struct {
	UpTo  float64 `json:"upTo"`
	Count int     `json:"count"`
}

// LifetimeBuckets are the upper bounds of a lifetime histogram: a minute to thirty days.
var LifetimeBuckets = []float64{60, 300, 3600, 21600, 86400, 604800, 2592000}

// Point is a point of a curve.
type Point struct {
	Seconds float64 `json:"seconds"`
	Share   float64 `json:"share"` // 0 to 1
}
