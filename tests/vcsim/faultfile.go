// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/vmware/govmomi/vim25/types"
	"sigs.k8s.io/yaml"
)

// faultText is a Fault as it is written in files and by the control endpoint. The tags say what a value must be.
type faultText struct {
	Name        string          `json:"name,omitempty" want:"a text"`
	Method      string          `json:"method,omitempty" want:"a pattern such as PowerOn*"`
	Object      string          `json:"object,omitempty" want:"a pattern such as web-* or VirtualMachine:vm-42"`
	Agent       string          `json:"agent,omitempty" want:"a pattern such as wolfpack/*"`
	Skip        int             `json:"skip,omitempty" want:"how many requests are left alone at first, at least 0"`
	Count       int             `json:"count,omitempty" want:"how many requests are struck, or 0 for all"`
	Probability float64         `json:"probability,omitempty" want:"a number from 0 to 1"`
	Seed        uint64          `json:"seed,omitempty" want:"a number of at least 0"`
	Do          Effect          `json:"do" want:"the name of an effect"`
	Fault       string          `json:"fault,omitempty" want:"a fault type of the vSphere API such as NotAuthenticated"`
	Fields      json.RawMessage `json:"fields,omitempty" want:"the fault's fields"`
	Status      int             `json:"status,omitempty" want:"an HTTP status such as 503"`
	RetryAfter  duration        `json:"retryAfter,omitzero" want:"a duration such as \"5s\""`
	Delay       duration        `json:"delay,omitzero" want:"a duration such as \"1.5s\""`
}

// duration is a time.Duration that is written as such.
type duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// ParseFaults reads a rule, or a list of rules, in YAML or JSON. The names of a rule's fields are those of Fault, in lower
// case. An error names the rule, the field and its value, and what would be right.
func ParseFaults(text []byte) ([]Fault, error) {
	document, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("faults are neither YAML nor JSON: %w", err)
	}
	rules := []json.RawMessage{document}
	if bytes.HasPrefix(document, []byte("[")) {
		if err := json.Unmarshal(document, &rules); err != nil {
			return nil, fmt.Errorf("faults are no JSON: %w", err)
		}
	}
	parsed := make([]Fault, 0, len(rules))
	for i, rule := range rules {
		f, err := parseFault(rule, fmt.Sprintf("number %d", i+1))
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, f)
	}
	return parsed, nil
}

// parseFault reads a rule. Without a name it goes by label in errors.
func parseFault(rule []byte, label string) (Fault, error) {
	labelled := Fault{Name: label}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(rule, &fields); err != nil || fields == nil {
		return Fault{}, fmt.Errorf("fault %q is %s; want a rule such as {method: PowerOn*, do: reset}", label, rule)
	}
	var t faultText
	if name := fields["name"]; json.Unmarshal(name, &t.Name) == nil && t.Name != "" {
		labelled.Name = t.Name
	}
	targets, wants := t.fields()
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		target, ok := targets[key]
		if !ok {
			return Fault{}, labelled.bad(key, "unknown", "one of "+list(slices.Sorted(maps.Keys(targets))))
		}
		if err := json.Unmarshal(fields[key], target); err != nil || string(fields[key]) == "null" {
			return Fault{}, labelled.bad(key, string(fields[key]), wants[key])
		}
	}
	if _, ok := fields["probability"]; ok && t.Probability == 0 {
		return Fault{}, labelled.bad("probability", 0, "a number above 0, up to 1, or no such field for always")
	}
	f, err := t.parse(&labelled)
	if err != nil {
		return Fault{}, err
	}
	checked := f
	checked.Name = labelled.Name
	return f, checked.check()
}

// fields returns pointers to the fields by their name in files, and what their values must be.
func (t *faultText) fields() (targets map[string]any, wants map[string]string) {
	targets, wants = make(map[string]any), make(map[string]string)
	value := reflect.ValueOf(t).Elem()
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name, _, _ := bytes.Cut([]byte(field.Tag.Get("json")), []byte(","))
		targets[string(name)] = value.Field(i).Addr().Interface()
		wants[string(name)] = field.Tag.Get("want")
	}
	return targets, wants
}

func (t *faultText) parse(labelled *Fault) (Fault, error) {
	f := Fault{
		Name: t.Name, Method: t.Method, Object: t.Object, Agent: t.Agent, Skip: t.Skip, Count: t.Count,
		Probability: t.Probability, Seed: t.Seed, Do: t.Do, Status: t.Status,
		RetryAfter: time.Duration(t.RetryAfter), Delay: time.Duration(t.Delay),
	}
	switch {
	case t.Fault != "":
		made, err := newFault(t.Fault)
		if err != nil {
			return Fault{}, labelled.bad("fault", fmt.Sprintf("%q", t.Fault), "a fault type of the vSphere API such as NotAuthenticated")
		}
		f.Fault = made
	case t.Fields != nil:
		return Fault{}, labelled.bad("fields", string(t.Fields), "none without a fault")
	}
	if t.Fields != nil {
		decoder := types.NewJSONDecoder(bytes.NewReader(t.Fields))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(f.Fault); err != nil {
			return Fault{}, labelled.bad("fields", string(t.Fields), "the fields of "+t.Fault+" as the vSphere API has them: "+err.Error())
		}
	}
	return f, nil
}

// newFault returns a fault of a type of the vSphere API.
func newFault(name string) (types.BaseMethodFault, error) {
	kind, ok := types.TypeFunc()(name)
	if ok && kind.Name() == name { // not the interface of what extends it
		if fault, ok := reflect.New(kind).Interface().(types.BaseMethodFault); ok {
			return fault, nil
		}
	}
	return nil, errors.New("no fault")
}

// MarshalJSON writes the rule as ParseFaults reads it, and what has come of it.
func (s FaultStatus) MarshalJSON() ([]byte, error) {
	f := s.Fault
	t := faultText{
		Name: f.Name, Method: f.Method, Object: f.Object, Agent: f.Agent, Skip: f.Skip, Count: f.Count,
		Probability: f.Probability, Seed: f.Seed, Do: f.Do, Status: f.Status,
		RetryAfter: duration(f.RetryAfter), Delay: duration(f.Delay),
	}
	if f.Fault != nil {
		t.Fault = typeName(f.Fault)
		var err error
		if t.Fields, err = faultFields(f.Fault); err != nil {
			return nil, err
		}
	}
	return json.Marshal(struct {
		faultText
		Selected int `json:"selected"`
		Struck   int `json:"struck"`
	}{t, s.Selected, s.Struck})
}

// faultFields returns the fields of a fault that are set, or nil.
func faultFields(fault types.BaseMethodFault) (json.RawMessage, error) {
	text := new(bytes.Buffer)
	if err := types.NewJSONEncoder(text).Encode(fault); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text.Bytes(), &fields); err != nil {
		return nil, err
	}
	delete(fields, "_typeName")
	if len(fields) == 0 {
		return nil, nil
	}
	return json.Marshal(fields)
}
