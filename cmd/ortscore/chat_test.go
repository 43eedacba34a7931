package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/chat"
	"github.com/ortscore/ortscore/model/hf"
)

// Every chat template of testdata/chat frames an answer, and the marks that find it
// change nothing else. What it renders is held against transformers in model/chat.
func TestConversationOfEveryTemplate(t *testing.T) {
	needNative(t)
	tokenizerFile := filepath.Join(root, "testdata", "tiny-gqa", "tokenizer.json")
	plain, err := hf.LoadTokenizer(tokenizerFile)
	require.NoError(t, err)
	defer plain.Close()
	tokenizer, err := hf.LoadChatTokenizer(tokenizerFile, plain)
	require.NoError(t, err)
	defer tokenizer.Close()
	files, err := filepath.Glob(filepath.Join(root, "testdata", "chat", "*.jinja"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 10)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			data, err := os.ReadFile(strings.TrimSuffix(file, ".jinja") + ".json")
			require.NoError(t, err)
			var dump struct {
				Special map[string]string
				Date    time.Time
			}
			require.NoError(t, json.Unmarshal(data, &dump))
			template, err := chat.Parse(string(source), hf.RenderTemplate, chat.Options{Special: dump.Special, Date: dump.Date})
			require.NoError(t, err)
			f := &chatFrame{template: template, tokenizer: tokenizer, file: file}
			_, err = f.checkConversation()
			require.NoError(t, err)
			require.Equal(t, filepath.Base(file) == "checked.jinja", f.answerless, "it wants the last turn to be the user's")
			// "user" and "assistant" stand in most templates' own text too.
			for _, answer := range []string{"the sea", "assistant", "user", "question"} {
				text, err := f.conversation("question", answer)
				require.NoError(t, err)
				require.Equal(t, answer, text.Text[text.Answer.From:text.Answer.To])
				require.Equal(t, len(text.Text), text.Answer.To)
				if f.answerless {
					continue
				}
				whole, err := f.render("question", answer)
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(whole, text.Text), "%q is no beginning of %q", text.Text, whole)
			}
		})
	}
}
