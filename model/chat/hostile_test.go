//go:build cgo

package chat

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostile are templates that would take all memory, all time or all of the stack.
var hostile = map[string]string{
	// macros without end
	"itself":           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
	"each other":       "{% macro a() %}{{ b() }}{% endmacro %}{%- macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
	"by an alias":      "{% macro m(n) %}{% set g = m %}{{ g(n+1) }}{% endmacro %}{{ m(0) }}",
	"as an argument":   "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
	"in a namespace":   "{% set ns = namespace() %}{% macro m() %}{{ ns.f() }}{% endmacro %}{% set ns.f = m %}{{ m() }}",
	"in a list":        "{% macro m(l) %}{{ l[0](l) }}{% endmacro %}{{ m([m]) }}",
	"in a dict":        "{% macro m(d) %}{{ d.f(d) }}{% endmacro %}{{ m({'f': m}) }}",
	"by call":          "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{{ caller() }}{% endmacro %}{% call m() %}{% endcall %}",
	"by caller":        "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}",
	"a loop's":         "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
	"by a block":       "{% block b %}{{ self.b() }}{% endblock %}",
	"by super":         "{% block b %}{{ super() }}{{ self.b() }}{% endblock %}",
	"by include":       "{% include '<string>' %}",
	"by map":           "{% macro m(x) %}{{ [x]|map(m)|list }}{% endmacro %}{{ m(1) }}",
	"three at a time":  "{% macro m() %}{{ m() }}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
	"half of all fuel": "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(60) }}",

	// containers in themselves
	"tojson of itself":  "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns|tojson }}",
	"text of itself":    "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
	"joined to itself":  "{% set ns = namespace() %}{% set ns.x = ns %}{{ '' ~ ns }}",
	"string of itself":  "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns|string }}",
	"join of itself":    "{% set ns = namespace() %}{% set ns.x = {'a': ns} %}{{ [ns]|join }}",
	"pprint of itself":  "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns|pprint }}",
	"format of itself":  "{% set ns = namespace() %}{% set ns.x = ns %}{{ '%s'|format(ns) }}{{ '{}'.format(ns) }}",
	"debug of itself":   "{% set ns = namespace() %}{% set ns.x = ns %}{{ debug(ns) }}",
	"compared":          "{% set a = namespace() %}{% set b = namespace() %}{% set a.x = b %}{% set b.x = a %}{{ a == b }}",
	"ordered":           "{% set a = namespace() %}{% set b = namespace() %}{% set a.x = b %}{% set b.x = a %}{{ a < b }}",
	"sorted":            "{% set a = namespace() %}{% set b = namespace() %}{% set a.x = [b] %}{% set b.x = [a] %}{{ [a, b]|sort }}",
	"unique":            "{% set a = namespace() %}{% set b = namespace() %}{% set a.x = b %}{% set b.x = a %}{{ [a, b]|unique }}",
	"a key of itself":   "{% set a = namespace() %}{% set a.x = a %}{{ {a: 1} }}",
	"in itself":         "{% set a = namespace() %}{% set b = namespace() %}{% set a.x = b %}{% set b.x = a %}{{ a in [b] }}",
	"a list of itself":  "{% set ns = namespace(x=[]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
	"nested at run":     "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ '' ~ ns.x }}",
	"nested and left":   "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x == 2 }}{{ 1/0 }}",
	"nested, compared":  "{% set ns = namespace(x=1, y=1) %}{% for i in range(80000) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
	"nested, hashed":    "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ {ns.x: 1} }}",
	"nested, sorted":    "{% set ns = namespace(x=1, y=1) %}{% for i in range(80000) %}{% set ns.x = {'a': ns.x} %}{% set ns.y = {'a': ns.y} %}{% endfor %}{{ [ns.x, ns.y]|sort }}",
	"nested namespaces": "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set n = namespace(x=ns.x) %}{% set ns.x = n %}{% endfor %}{{ ns.x|tojson }}",
	"nested filters":    "{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = ns.x|batch(1) %}{% endfor %}{{ ns.x|length }}{{ ns.x }}",
	"nested slices":     "{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = ns.x[0:] %}{% endfor %}{{ ns.x|list|length }}{{ 1/0 }}",
	"nested chains":     "{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = ns.x|chain([2]) %}{% endfor %}{{ ns.x|list|length }}{{ 1/0 }}",
	"nested zips":       "{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = ns.x|zip([2]) %}{% endfor %}{{ ns.x }}",
	"nested sums":       "{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = ns.x + [1] %}{% endfor %}{{ ns.x|length }}{{ 1/0 }}",
	"nested dicts":      "{% set ns = namespace(x=dict()) %}{% for i in range(90000) %}{% set ns.x = dict(ns.x, a=i) %}{% endfor %}{{ ns.x }}{{ 1/0 }}",
	"nested products":   "{% set ns = namespace(x=[1]) %}{% for i in range(30000) %}{% set ns.x = ns.x * 1 %}{% endfor %}{{ ns.x|length }}{{ 1/0 }}",
	"nested maps":       "{% set ns = namespace(x=[1]) %}{% for i in range(30000) %}{% set ns.x = ns.x|map('string') %}{% endfor %}{{ ns.x|list }}{{ 1/0 }}",
	"nested reversed":   "{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = ns.x|reverse %}{% endfor %}{{ ns.x|list }}{{ 1/0 }}",
	"nested items":      "{% set ns = namespace(x={'a': 1}) %}{% for i in range(90000) %}{% set ns.x = {'a': ns.x.items()} %}{% endfor %}{{ ns.x }}{{ 1/0 }}",

	// sources that nest
	"brackets":       "{{ " + strings.Repeat("(", 50000) + "1" + strings.Repeat(")", 50000) + " }}",
	"lists":          "{{ " + strings.Repeat("[", 50000) + strings.Repeat("]", 50000) + " }}",
	"dicts":          "{{ " + strings.Repeat("{1:", 40000) + "1" + strings.Repeat("}", 40000) + " }}",
	"open brackets":  "{{ " + strings.Repeat("(", 200000),
	"ifs":            strings.Repeat("{% if 1 %}", 20000) + strings.Repeat("{%endif%}", 7000),
	"ifs, closed":    strings.Repeat("{%if 1%}", 14000) + strings.Repeat("{%endif%}", 14000),
	"fors":           strings.Repeat("{% for a in b %}", 14000),
	"elifs":          "{% if 0 %}" + strings.Repeat("{% elif 0 %}", 20000) + "{% endif %}{{ 1/0 }}",
	"inline ifs":     "{{ " + strings.Repeat("1 if 0 else ", 20000) + "1/0 }}",
	"minus":          "{{ " + strings.Repeat("-", 200000) + "1 }}",
	"not":            "{{ " + strings.Repeat("not ", 50000) + "1 }}{{ 1/0 }}",
	"sums":           "{{ 1" + strings.Repeat("+1", 120000) + " }}{{ 1/0 }}",
	"concatenations": "{{ 1" + strings.Repeat("~1", 120000) + " }}{{ 1/0 }}",
	"comparisons":    "{{ 1" + strings.Repeat("<1", 120000) + " }}{{ 1/0 }}",
	"powers":         "{{ 1" + strings.Repeat("**1", 80000) + " }}{{ 1/0 }}",
	"ands":           "{{ 1" + strings.Repeat(" and 1", 40000) + " }}{{ 1/0 }}",
	"filters":        "{{ x" + strings.Repeat("|e", 120000) + " }}{{ 1/0 }}",
	"trims":          "{{ x" + strings.Repeat("|trim", 50000) + " }}{{ 1/0 }}",
	"attributes":     "{{ {}" + strings.Repeat(".a", 120000) + " }}",
	"items":          "{{ {}" + strings.Repeat("[0]", 80000) + " }}",
	"calls":          "{{ x" + strings.Repeat("()", 120000) + " }}",
	"tests":          "{{ 1" + strings.Repeat(" is x", 50000) + " }}",
	"assignments":    strings.Repeat("{% set a=b %}", 19000) + "{{ 1/0 }}",
	"unpacked":       "{% set " + strings.Repeat("(", 50000) + "a" + strings.Repeat(")", 50000) + " = 1 %}",
	"10 MB":          strings.Repeat("{% if 1 %}", 1<<20),

	// what grows
	"a text times":      "{{ 'a' * 2000000000 }}",
	"texts times":       "{% set x = 'a' * 100000000 %}{% set y = x * 100 %}{{ y }}",
	"a list times":      "{{ [1] * 2000000000 }}",
	"doubled":           "{% set ns = namespace(x='aa') %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
	"concatenated":      "{% set ns = namespace(x='aa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
	"replaced":          "{% set ns = namespace(x='aa') %}{% for i in range(40) %}{% set ns.x = ns.x.replace('a', 'aaaa') %}{% endfor %}{{ ns.x }}",
	"joined":            "{% set ns = namespace(x='aa') %}{% for i in range(40) %}{% set ns.x = ns.x.join(range(100)) %}{% endfor %}{{ ns.x }}",
	"a list doubled":    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|list|length }}{{ 1/0 }}",
	"a wide format":     "{{ '%2000000000d'|format(1) }}",
	"a wide format 2":   "{{ '{:>2000000000}'.format(1) }}",
	"a wide indent":     "{{ [1]|tojson(indent=2000000000) }}",
	"indented":          "{{ 'a\\nb'|indent(2000000000) }}",
	"a large range":     "{{ range(1000000000) }}",
	"many ranges":       "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
	"lists of ranges":   "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x, range(99999)|list] %}{% endfor %}",
	"batches":           "{{ range(99999)|batch(2000000000, 1) }}",
	"slices":            "{{ range(99999)|slice(2000000000, 1) }}",
	"products":          "{{ range(99999)|list * 99999 }}",
	"a large power":     "{{ 9 ** 999999999 }}",
	"rounding":          "{{ 1.5|round(2000000000) }}{{ 1/0 }}",
	"a lot of output":   "{% for a in range(99999) %}{{ 'a' * 100000 }}{% endfor %}",
	"a captured output": "{% set x %}{% for a in range(99999) %}{{ 'a' * 100000 }}{% endfor %}{% endset %}",

	// what takes long
	"counted":        "{{ 'a'.count('') }}{{ 1/0 }}",
	"searched":       "{% set x = 'a' * 50000000 %}{% for i in range(99999) %}{% if 'b' in x %}{% endif %}{% endfor %}",
	"upper":          "{% set x = 'a' * 30000000 %}{% for i in range(99999) %}{% set y = x|upper %}{% endfor %}",
	"lengths":        "{% set x = 'ä' * 30000000 %}{% for i in range(99999) %}{% set y = x|length %}{% endfor %}",
	"unique of many": "{% for i in range(99999) %}{% set y = range(99999)|unique|list %}{% endfor %}",
}

// None of them ends the process, and each is an error in bounded time.
func TestHostileTemplates(t *testing.T) {
	defer func(d time.Duration) { maxTime = d }(maxTime)
	usual := maxTime
	for name, source := range hostile {
		t.Run(name, func(t *testing.T) {
			maxTime = 300 * time.Millisecond
			begin := time.Now()
			_, err := parse(source)
			t.Log(time.Since(begin).Round(time.Millisecond), err)
			require.Error(t, err)
			require.Less(t, time.Since(begin), 15*time.Second)
			require.NotContains(t, err.Error(), "\n")
			maxTime = usual
			_, err = parse("{{ messages[0].content }}")
			require.NoError(t, err, "the engine goes on")
		})
	}
}
