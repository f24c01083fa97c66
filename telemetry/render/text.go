// SPDX-License-Identifier: Apache-2.0

package render

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"k8s.io/apimachinery/pkg/util/duration"
)

// visible returns a name that does nothing to what it is written into: characters that are not printed, such as control
// characters, those that turn the direction of writing, and bytes that are no UTF-8, are shown as escapes.
func visible(name string) string {
	if strings.IndexFunc(name, hidden) < 0 {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, name[0])
		case hidden(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		name = name[size:]
	}
	return b.String()
}

func hidden(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// maxName is how many cells of a terminal a name takes at most.
const maxName = 36

// short returns a name that does nothing and takes at most maxName cells.
func short(name string) string { return cut(name, maxName) }

// cut returns a text that does nothing and takes at most so many cells. Marks without a width of their own are cut too.
func cut(text string, width int) string {
	text = visible(text)
	if runes := []rune(text); len(runes) > 2*width {
		text = string(runes[:2*width]) + "…"
	}
	return cells.Truncate(text, width, "…")
}

// named returns a name, and says so if it is none.
func named(name string) string { return cmp.Or(name, "(no name)") }

// cells tells widths for a terminal that is not East Asian, whatever the environment says: the same report is the same text.
var cells = &runewidth.Condition{StrictEmojiNeutral: true}

// number writes an integer with a comma between thousands.
func number(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// decimal writes a mean with one digit after the point, and none if it is large or even.
func decimal(f float64) string {
	if rounded := math.Round(f); math.Abs(f) >= 1000 || math.Abs(f-rounded) < 0.05 {
		return number(int(rounded))
	}
	text := strconv.FormatFloat(f, 'f', 1, 64)
	return strings.Replace(text, "-", "−", 1)
}

// lasting writes a number of seconds as kubectl writes ages.
func lasting(seconds float64) string {
	if seconds > math.MaxInt64/1e9 {
		return "over 290y"
	}
	return duration.HumanDuration(time.Duration(seconds * float64(time.Second)))
}

// took writes how long a computer took.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

// at writes a time to the minute.
func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// count writes a number of things, given their name in the singular and in the plural.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// signed writes a difference, and nothing for none.
func signed(n int) string {
	switch {
	case n > 0:
		return "+" + number(n)
	case n < 0:
		return number(n)
	default:
		return same
	}
}

// same stands for a value that has not changed.
const same = "="
