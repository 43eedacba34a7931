package job

import (
	"context"
	"io"
	"os"

	"github.com/ortscore/ortscore/io/dataset"
)

// Open opens a file, or standard input so that waiting for it ends with ctx.
func Open(ctx context.Context, path string) (*dataset.Reader, error) {
	if path != dataset.Stdin {
		return dataset.Open(path)
	}
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, os.Stdin)
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	return dataset.NewReader(path, r), nil
}
