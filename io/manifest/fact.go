package manifest

import "fmt"

// Fact is a thing that decides what a run writes: a flag's value, the sha256 of the
// model.
type Fact struct {
	Name  string `json:"name"` // unlike those beside it
	Value string `json:"value"`
}

// Differences names the facts that are not the same in both: "seed: want 42, got 43".
// It is empty where all are.
func Differences(want, got []Fact) []string {
	var out []string
	have := values(got)
	for _, w := range want {
		if value, ok := have[w.Name]; !ok {
			out = append(out, fmt.Sprintf("%s: want %s, got none", w.Name, w.Value))
		} else if value != w.Value {
			out = append(out, fmt.Sprintf("%s: want %s, got %s", w.Name, w.Value, value))
		}
	}
	wanted := values(want)
	for _, g := range got {
		if _, ok := wanted[g.Name]; !ok {
			out = append(out, fmt.Sprintf("%s: want none, got %s", g.Name, g.Value))
		}
	}
	return out
}

func values(facts []Fact) map[string]string {
	out := make(map[string]string, len(facts))
	for _, f := range facts {
		out[f.Name] = f.Value
	}
	return out
}

// Facts says what is in files: a fact for each, which does not tell where it lies.
func Facts(files []File) []Fact {
	var out []Fact
	seen := map[string]int{}
	for _, f := range files {
		name := f.Role
		if seen[f.Role]++; seen[f.Role] > 1 {
			name = fmt.Sprintf("%s %d", f.Role, seen[f.Role])
		}
		out = append(out, Fact{name + " file", "sha256 " + f.SHA256})
	}
	return out
}
