//go:build cgo

package chat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRender renders a prompt of a listwise ranking.
func BenchmarkRender(b *testing.B) {
	prompt := "Query: who?\n" + strings.Repeat("[1] The tun is a dry form of the bear, and ships sail on the sea.\n", 100)
	for _, name := range []string{"chatml", "llama31", "mistral"} {
		source, err := os.ReadFile(filepath.Join(templates, name+".jinja"))
		require.NoError(b, err)
		template, err := parse(string(source))
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := template.Render([]Message{{"user", prompt}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
