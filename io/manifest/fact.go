package manifest

import "fmt"

// Fact is a thing that decides what a run writes: a flag's value, the sha256 of the
// model.
type Fact struct {
	Name  string `json:"name"` // unlike those beside it
	Value string `json:"value"`
}

// Difference is a fact that is not the same in two lists.
type Difference struct {
	Name      string
	Want, Got *string // nil where a list has no fact of the name
}

// Compare returns the facts that are not the same in both lists: in the order of want,
// and then those that got alone has.
func Compare(want, got []Fact) (all []Difference) {
	have := values(got)
	for i := range want {
		w := &want[i]
		if value := have[w.Name]; value == nil || *value != w.Value {
			all = append(all, Difference{w.Name, &w.Value, value})
		}
	}
	wanted := values(want)
	for i := range got {
		if g := &got[i]; wanted[g.Name] == nil {
			all = append(all, Difference{g.Name, nil, &g.Value})
		}
	}
	return all
}

func values(facts []Fact) map[string]*string {
	out := make(map[string]*string, len(facts))
	for i := range facts {
		out[facts[i].Name] = &facts[i].Value
	}
	return out
}

// Text writes the difference with a form for its name and the values of want and got.
// none stands for a value that a list does not have.
func (d Difference) Text(form, none string) string {
	value := func(v *string) string {
		if v == nil {
			return none
		}
		return *v
	}
	return fmt.Sprintf(form, d.Name, value(d.Want), value(d.Got))
}

// Differences names the facts that are not the same in both: "seed: want 42, got 43".
// It is empty where all are.
func Differences(want, got []Fact) (all []string) {
	for _, d := range Compare(want, got) {
		all = append(all, d.Text("%s: want %s, got %s", "none"))
	}
	return all
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
