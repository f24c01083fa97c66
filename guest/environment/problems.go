// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"fmt"
	"strings"
)

// Problem is something wrong with what a container refers to.
type Problem struct {
	Reason    string // of the Event that tells of it, such as MandatorySecretNotFound
	Message   string // in the kubelet's words
	Mandatory bool   // the container cannot be made
}

// ReasonInvalidReference is the reason of a reference that can never be resolved.
const ReasonInvalidReference = "InvalidReference"

// kind of an object that a container may refer to.
type kind string

const (
	configMap kind = "ConfigMap"
	secret    kind = "Secret"
)

// word is the kind as the API server's messages have it.
func (k kind) word() string { return strings.ToLower(string(k)) }

// missing is the problem of an object that does not exist. Its reasons, like those of missingKey, are Virtual Kubelet's:
// MandatorySecretNotFound, OptionalConfigMapKeyNotFound and so on.
func missing(k kind, name string, optional *bool) Problem {
	return problem(k, "NotFound", optional, fmt.Sprintf("%s %q not found", k.word(), name))
}

// missingKey is the problem of a key that an object does not have.
func missingKey(k kind, namespace, name, key string, optional *bool) Problem {
	return problem(k, "KeyNotFound", optional, fmt.Sprintf("couldn't find key %s in %s %s/%s", key, k, namespace, name))
}

func problem(k kind, what string, optional *bool, message string) Problem {
	if optional != nil && *optional {
		return Problem{Reason: "Optional" + string(k) + what, Message: message}
	}
	return Problem{Reason: "Mandatory" + string(k) + what, Message: message, Mandatory: true}
}
