// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// ledger adds up samples, so that two objects of the same labels are one sample and never a contradiction.
type ledger struct {
	vcenter string
	samples map[*Metric]map[string]float64 // by label values
}

// separator is no valid UTF-8, so that no label has it.
const separator = "\xff"

// add adds to the sample with these label values.
func (l *ledger) add(m *Metric, value float64, labels ...string) {
	of := l.samples[m]
	if of == nil {
		of = map[string]float64{}
		l.samples[m] = of
	}
	of[l.key(labels)] += value
}

// info sets the sample with these label values to 1.
func (l *ledger) info(m *Metric, labels ...string) {
	l.add(m, 0, labels...)
	l.samples[m][l.key(labels)] = 1
}

func (l *ledger) key(labels []string) string { return strings.Join(l.labels(labels), separator) }

func (l *ledger) labels(labels []string) []string {
	valid := make([]string, 0, 1+len(labels))
	for _, label := range append([]string{l.vcenter}, labels...) {
		valid = append(valid, strings.ToValidUTF8(label, "\uFFFD"))
	}
	return valid
}

func (l *ledger) send(ch chan<- prometheus.Metric) {
	for m, samples := range l.samples {
		kind := prometheus.GaugeValue
		if m.Type == counter {
			kind = prometheus.CounterValue
		}
		for key, value := range samples {
			ch <- prometheus.MustNewConstMetric(m.desc, kind, value, strings.Split(key, separator)...)
		}
	}
}
