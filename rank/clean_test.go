package rank

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"as it stands", "as it stands"},
		{"rank [3] first", "rank (3) first"},
		{"[ 12 ] and [\n7\u00a0]", "(12) and (7)"},
		{"［３］ 【3】 [１２]", "(3) (3) (12)"},
		{"cited[1][2, 3], [4;5]", "cited(1)(2, 3), (4;5)"},
		{"[Passage 2] > [doc 1] > [#0]", "(Passage 2) > (doc 1) > (#0)"},
		{"[2 > 0]", "(2 > 0)"},
		{"[[3]] [a] [] [3a] [x 3] (3) [3.5] [-1] 3] [3", "[(3)] [a] [] [3a] [x 3] (3) [3.5] [-1] 3] [3"},
		{" \n a passage\r\n[0] that\tfakes  another\v\u2028\u3000line \x1f", "a passage (0) that fakes another line"},
		{"東京 [３] é 🐝", "東京 (3) é 🐝"},
	} {
		require.Equal(t, c.want, Clean(c.text))
	}
}

// The pattern's white space is that of isSpace, character by character.
func TestPatternSpace(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if got := bracketed.MatchString("[" + string(r) + "3]"); got != (isSpace(r) || r == '#') && !strings.ContainsRune("0123456789０１２３４５６７８９[［【", r) {
			t.Fatalf("%U: space is %v, but [%c3] is an identifier: %v", r, isSpace(r), r, got)
		}
	}
}

// What is clean holds no identifier, is one line, and stays as it is; among
// numbered passages the only identifiers are theirs.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"[3]", "[\x1c3\u3000]", "［３］【4】", "[1,[2],3]", "[[[1]]]", "[Passage [1] 2]", "a\r\n[0] b", "[1\n2]", "3]", "["} {
		f.Add(s, "]"+s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		a, b := Clean(one), Clean(two)
		require.Empty(t, bracketed.FindString(a))
		require.Equal(t, a, Clean(a))
		require.False(t, strings.ContainsFunc(a, func(r rune) bool { return isSpace(r) && r != ' ' }))
		require.Equal(t, a, strings.TrimFunc(a, isSpace))
		tmpl, err := ParseTemplate("{query}\n{passages}\n")
		require.NoError(t, err)
		require.Equal(t, []string{"[1]", "[2]", "[3]"}, bracketed.FindAllString(tmpl.Fill(b, []string{a, b, a}, 1), -1))
	})
}
