package nll

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// The texts of the tasks, as FlagEmbedding's run_lm_score.py makes them.
func TestTaskTexts(t *testing.T) {
	plain := Fields{Passage: "The sea is blue.", Query: "What colour is the sea?", Answer: "blue", Context: "CONTEXT"}
	wide := Fields{Passage: " \n The sea.\t", Query: "\u00a0What? ", Answer: " blue  ", Context: " c "}
	for _, c := range []struct {
		task         Task
		fields       Fields
		text, answer string
	}{
		{QA, plain, "Knowledge: The sea is blue.\n\nQuestion: What colour is the sea?\n\nAnswer: blue", "blue"},
		{QA, wide, "Knowledge: The sea.\n\nQuestion: What?\n\nAnswer: blue", "blue"},
		{ConvSearch, plain, "Knowledge: The sea is blue.\n\nQuestion: What colour is the sea?\n\nAnswer: blue", "blue"},
		{ConvSearch, wide, "Knowledge: The sea.\n\nQuestion: What?\n\nAnswer: blue", "blue"},
		{Chat, plain, "The sea is blue.\nSpeaker 1: What colour is the sea?\nSpeaker 2: blue", "blue"},
		{Chat, wide, " \n The sea.\t\nSpeaker 1: \u00a0What? \nSpeaker 2:  blue  ", " blue  "},
		{ICL, plain, "The sea is blue.\nWhat colour is the sea?\nblue", "blue"},
		{ICL, wide, " \n The sea.\t\n\u00a0What? \n blue  ", " blue  "},
		{LRLM, plain, "The sea is blue.CONTEXTWhat colour is the sea?blue", "blue"},
		{LRLM, wide, " \n The sea.\t c \u00a0What?  blue  ", " blue  "},
		{QA, Fields{}, "Knowledge: \n\nQuestion: \n\nAnswer: ", ""},
		{LRLM, Fields{}, "", ""},
		// Words in braces that stand in the data are data.
		{QA, Fields{Passage: "{query}", Query: "{answer}", Answer: "{passage} {x"}, "Knowledge: {query}\n\nQuestion: {answer}\n\nAnswer: {passage} {x", "{passage} {x"},
	} {
		got := templates[c.task].Fill(c.fields)
		require.Equal(t, c.text, got.Text, c.task)
		require.Equal(t, c.answer, got.Text[got.Answer.From:got.Answer.To], c.task)
		require.True(t, templates[c.task].EndsWithAnswer())
	}
}

func TestParseTask(t *testing.T) {
	require.Equal(t, []Task{QA, ConvSearch, Chat, ICL, LRLM}, Tasks)
	require.Len(t, templates, len(Tasks))
	for _, task := range Tasks {
		got, err := ParseTask(string(task))
		require.NoError(t, err)
		require.Equal(t, task, got)
	}
	for _, name := range []string{"", "QA", "qa ", "rerank"} {
		_, err := ParseTask(name)
		require.ErrorContains(t, err, `want qa, convsearch, chat, icl or lrlm, got "`+name+`"`)
	}
}

func TestParseTemplate(t *testing.T) {
	fields := Fields{Passage: "P", Query: "Q", Answer: "A", Context: "C"}
	for _, c := range []struct {
		template, text string
		from, to       int
		atEnd          bool
	}{
		{"{passage}{answer}", "PA", 1, 2, true},
		{"{answer}{passage}", "AP", 0, 1, false},
		{"{passage} {query} {context} {answer}.", "P Q C A.", 6, 7, false},
		{"{passage} and {passage}: {answer}", "P and P: A", 9, 10, true},
		{"{{passage}} {} { x } {a b} {\"k\": 1} {answer}", "{P} {} { x } {a b} {\"k\": 1} A", 28, 29, true},
		{"日本 {passage} é {answer}", "日本 P é A", 12, 13, true},
		{"{passage}\r\n{answer}\n", "P\r\nA\n", 3, 4, false},
	} {
		tmpl, err := ParseTemplate(c.template, false)
		require.NoError(t, err, c.template)
		got := tmpl.Fill(fields)
		require.Equal(t, c.text, got.Text)
		require.Equal(t, [2]int{c.from, c.to}, [2]int{got.Answer.From, got.Answer.To}, c.template)
		require.Equal(t, c.atEnd, tmpl.EndsWithAnswer(), c.template)
	}
	for _, c := range []struct{ template, want string }{
		{"", "want {passage} and one {answer} in the template"},
		{"{passage}", "want {passage} and one {answer} in the template"},
		{"{answer}", "want {passage} and one {answer} in the template"},
		{"{passage} {answer} {answer}", "want {passage} and one {answer} in the template"},
		{"{Passage} {answer}", "want {passage}, {query}, {answer} or {context}, got {Passage}"},
		{"{passage} {question} {answer}", "want {passage}, {query}, {answer} or {context}, got {question}"},
		{"{passage} {0} {answer}", "want {passage}, {query}, {answer} or {context}, got {0}"},
	} {
		_, err := ParseTemplate(c.template, true)
		require.EqualError(t, err, c.want, c.template)
	}
	require.Panics(t, func() { mustTemplate("{answer}", false) })
}

// What strip removes is what Python's str.isspace says, character by character:
// [chr(i) for i in range(0x110000) if chr(i).isspace()].
func TestStripIsPythons(t *testing.T) {
	python := "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0"
	spaces := []rune{'\t', '\n', '\v', '\f', '\r', 0x1c, 0x1d, 0x1e, 0x1f, ' ', 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000}
	for r := rune(0x2000); r <= 0x200a; r++ {
		spaces = append(spaces, r)
	}
	require.Len(t, spaces, 29, "of which %d below U+0100", len(python))
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		want := string(r)
		for _, s := range spaces {
			if r == s {
				want = ""
			}
		}
		if got := strip(string(r)); got != want {
			t.Fatalf("%U: want %q, got %q", r, want, got)
		}
	}
	require.Equal(t, "a \x1c b", strip(" \x1f\u3000a \x1c b\u2003\x1c"))
	require.Equal(t, "\u200ba\ufeff", strip("\u200ba\ufeff"), "no white space to Python either")
}

func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"{passage}{answer}", "{{passage}} {answer} {", "{passage} {query} {context}\n{answer}.", "{x}", "}{", "{passage}{answer}{answer}"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, stripped bool) {
		tmpl, err := ParseTemplate(text, stripped)
		if err != nil {
			return
		}
		// With nothing filled in, what is left is the template without its places.
		want := strings.NewReplacer("{passage}", "", "{query}", "", "{answer}", "", "{context}", "").Replace(text)
		require.Equal(t, want, tmpl.Fill(Fields{}).Text)
		// With each place's own name filled in, it is the template itself.
		own := tmpl.Fill(Fields{Passage: "{passage}", Query: "{query}", Answer: "{answer}", Context: "{context}"})
		require.Equal(t, text, own.Text)
		require.Equal(t, "{answer}", own.Text[own.Answer.From:own.Answer.To])
		require.Equal(t, strings.HasSuffix(text, "{answer}"), tmpl.EndsWithAnswer())
		require.Positive(t, tmpl.Count("passage"))
	})
}

func FuzzFill(f *testing.F) {
	f.Add("{passage} {query} {answer}", "a passage", "q?", "an {answer}", "{passage}", false)
	f.Add("Knowledge: {passage}\n\nQuestion: {query}\n\nAnswer: {answer}", " \x1cp", "{query}", "\u3000a", "", true)
	f.Add("{answer}{passage}{context}", "", "", "", "", true)
	f.Fuzz(func(t *testing.T, text, passage, query, answer, context string, stripped bool) {
		tmpl, err := ParseTemplate(text, stripped)
		if err != nil {
			return
		}
		got := tmpl.Fill(Fields{passage, query, answer, context})
		if stripped {
			passage, query, answer, context = strip(passage), strip(query), strip(answer), strip(context)
		}
		require.Equal(t, answer, got.Text[got.Answer.From:got.Answer.To])
		// The replacer goes over the template once, so data stay data there too.
		want := strings.NewReplacer("{passage}", passage, "{query}", query, "{answer}", answer, "{context}", context).Replace(text)
		require.Equal(t, want, got.Text)
	})
}
