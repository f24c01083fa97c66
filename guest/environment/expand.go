// SPDX-License-Identifier: Apache-2.0

package environment

import "strings"

// expand replaces each $(NAME) in text by what lookup says. A name that it does not know stays, as does a $ that begins no
// reference; $$ is a $.
func expand(text string, lookup func(string) (string, bool)) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, rest, reference := cutReference(after)
		switch {
		case reference:
			value, known := lookup(name)
			if !known {
				value = "$(" + name + ")"
			}
			out.WriteString(value)
			text = rest
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		default:
			out.WriteByte('$')
			text = after
		}
	}
}

// cutReference takes (NAME) from the front of text.
func cutReference(text string) (name, rest string, ok bool) {
	inner, ok := strings.CutPrefix(text, "(")
	if !ok {
		return "", "", false
	}
	return strings.Cut(inner, ")")
}
