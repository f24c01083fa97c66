// SPDX-License-Identifier: Apache-2.0

// Command promql says what PromQL queries select, by Prometheus' own parser. It reads a JSON list of queries from standard
// input, and writes a JSON list with an entry for each: the metrics and the labels that the query names, or what is wrong
// with it.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// query is what one query names. Each name is there once for each time that it is in the query.
type query struct {
	Metrics []string `json:"metrics"`
	Labels  []string `json:"labels"` // in selectors, in groupings and in matchings of vectors
	Problem string   `json:"problem,omitempty"`
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		fmt.Fprintln(os.Stderr, "promql: want a JSON list of queries:", err)
		os.Exit(1)
	}
	all := make([]query, len(texts))
	for i, text := range texts {
		all[i] = read(text)
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		fmt.Fprintln(os.Stderr, "promql:", err)
		os.Exit(1)
	}
}

func read(text string) query {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return query{Problem: err.Error()}
	}
	var q query
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			for _, matcher := range n.LabelMatchers {
				if matcher.Name == labels.MetricName {
					q.Metrics = append(q.Metrics, matcher.Value)
				} else {
					q.Labels = append(q.Labels, matcher.Name)
				}
			}
		case *parser.AggregateExpr:
			q.Labels = append(q.Labels, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				q.Labels = append(append(q.Labels, n.VectorMatching.MatchingLabels...), n.VectorMatching.Include...)
			}
		}
		return nil
	})
	return q
}
