package ort

import (
	"fmt"
	"path/filepath"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model/graph"
)

// source is where a session's graph comes from: a file, or bytes whose weights lie
// in a folder.
type source struct {
	path   string
	data   []byte // nil for the file at path
	folder string
	size   int64 // bytes of the file and its weights
}

// weightsFolder is the session's entry for where external data lies, for graphs
// that are not read from a file.
const weightsFolder = "session.model_external_initializers_file_folder_path"

func (s source) session(in, out []string, so *onnx.SessionOptions) (*onnx.DynamicAdvancedSession, error) {
	if s.data == nil {
		return onnx.NewDynamicAdvancedSession(s.path, in, out, so)
	}
	if err := so.AddSessionConfigEntry(weightsFolder, s.folder); err != nil {
		return nil, err
	}
	return onnx.NewDynamicAdvancedSessionWithONNXData(s.data, in, out, so)
}

// weights returns the folder that holds all files of weights of the model at path,
// with their names there where those are not the model's own. ONNX Runtime
// follows links, and refuses a file that then lies outside the folder; for a
// model read from a file it takes the folder of the file itself as well, as in
// the Hugging Face cache, where model and weights link to ../../blobs.
func weights(path string, files []graph.External) (folder string, locations map[string]string, err error) {
	if path, err = filepath.Abs(path); err != nil { // what links resolve to may be
		return "", nil, err
	}
	if folder, err = filepath.EvalSymlinks(filepath.Dir(path)); err != nil {
		return "", nil, err
	}
	if _, err = locate(folder, folder, files); err == nil {
		return folder, nil, nil
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", nil, err
	}
	locations, err = locate(folder, filepath.Dir(target), files)
	return filepath.Dir(target), locations, err
}

// locate finds the files of a model's folder below another.
func locate(folder, below string, files []graph.External) (map[string]string, error) {
	locations := map[string]string{}
	for _, f := range files {
		real, err := filepath.EvalSymlinks(filepath.Join(folder, f.Location))
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(below, real)
		if err != nil || !filepath.IsLocal(rel) {
			return nil, fmt.Errorf("external data: want a file below %s, got %s", below, real)
		}
		locations[f.Location] = rel
	}
	return locations, nil
}
