package edit

import (
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/text"
)

// linesIn returns the lines of a text, each with its line break.
func linesIn(data []byte) []string {
	all := strings.SplitAfter(string(data), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// align returns for each line of a the line of b that it has become, -1 if it is gone.
func align(a, b []string) []int {
	match := make([]int, len(a))
	for i := range match {
		match[i] = -1
	}
	alignWithin(a, b, 0, 0, match)
	return match
}

// alignWithin aligns parts of two texts that begin at these lines.
func alignWithin(a, b []string, atA, atB int, match []int) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		match[atA] = atB
		a, b, atA, atB = a[1:], b[1:], atA+1, atB+1
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		match[atA+len(a)-1] = atB + len(b) - 1
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 0 || len(b) == 0 {
		return
	}
	const small = 1 << 20
	if len(a)*len(b) <= small {
		alignSmall(a, b, atA, atB, match)
		return
	}
	pairs := unique(a, b)
	lastA, lastB := 0, 0
	for _, p := range pairs {
		match[atA+p[0]] = atB + p[1]
		alignWithin(a[lastA:p[0]], b[lastB:p[1]], atA+lastA, atB+lastB, match)
		lastA, lastB = p[0]+1, p[1]+1
	}
	if len(pairs) > 0 {
		alignWithin(a[lastA:], b[lastB:], atA+lastA, atB+lastB, match)
	}
}

// alignSmall finds the longest common subsequence.
func alignSmall(a, b []string, atA, atB int, match []int) {
	width := len(b) + 1
	length := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i*width+j] = length[(i+1)*width+j+1] + 1
			} else {
				length[i*width+j] = max(length[(i+1)*width+j], length[i*width+j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			match[atA+i] = atB + j
			i, j = i+1, j+1
		case length[(i+1)*width+j] >= length[i*width+j+1]:
			i++
		default:
			j++
		}
	}
}

// unique returns the lines that are once in each of both texts, as pairs that are in
// order in both.
func unique(a, b []string) [][2]int {
	count := map[string][3]int{} // in a, in b, where in b
	for _, l := range a {
		c := count[l]
		count[l] = [3]int{c[0] + 1, c[1], c[2]}
	}
	for j, l := range b {
		c := count[l]
		count[l] = [3]int{c[0], c[1] + 1, j}
	}
	var best [][2]int
	for i, l := range a {
		if c := count[l]; c[0] == 1 && c[1] == 1 {
			// An edit moves nothing: what is out of order isn't the same line.
			if n := len(best); n == 0 || best[n-1][1] < c[2] {
				best = append(best, [2]int{i, c[2]})
			}
		}
	}
	return best
}

// Unified returns the difference of two texts of a file as a unified diff.
func Unified(name string, before, after []byte) string {
	const context = 3
	a, b := linesIn(before), linesIn(after)
	match := align(a, b)
	type line struct {
		mark     byte
		text     string
		atA, atB int
	}
	var all []line
	j := 0
	for i := range a {
		if match[i] < 0 {
			all = append(all, line{'-', a[i], i, j})
			continue
		}
		for ; j < match[i]; j++ {
			all = append(all, line{'+', b[j], i, j})
		}
		all = append(all, line{' ', a[i], i, j})
		j++
	}
	for ; j < len(b); j++ {
		all = append(all, line{'+', b[j], len(a), j})
	}
	var out strings.Builder
	for at := 0; at < len(all); {
		first := at + slices.IndexFunc(all[at:], func(l line) bool { return l.mark != ' ' })
		if first < at {
			break
		}
		end, last := first+1, first
		for ; end < len(all) && end-last <= 2*context; end++ {
			if all[end].mark != ' ' {
				last = end
			}
		}
		from, to := max(at, first-context), min(len(all), last+1+context)
		if out.Len() == 0 {
			name = text.Visible(strings.TrimPrefix(name, "/"))
			fmt.Fprintf(&out, "--- a/%s\n+++ b/%s\n", name, name)
		}
		countA, countB := 0, 0
		for _, l := range all[from:to] {
			if l.mark != '+' {
				countA++
			}
			if l.mark != '-' {
				countB++
			}
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n", hunk(all[from].atA, countA), hunk(all[from].atB, countB))
		for _, l := range all[from:to] {
			out.WriteByte(l.mark)
			out.WriteString(l.text)
			if !strings.HasSuffix(l.text, "\n") {
				out.WriteString("\n\\ No newline at end of file\n")
			}
		}
		at = to
	}
	return out.String()
}

// hunk returns where a hunk begins, and how many lines it has.
func hunk(at, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", at)
	}
	return fmt.Sprintf("%d,%d", at+1, n)
}
