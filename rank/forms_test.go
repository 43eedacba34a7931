package rank

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// written is what a teacher wrote: want is the order of its passages, those that
// it names, and empty where no order may be read from it.
type written struct {
	text string
	want string
}

// All are rankings of three passages that are counted from 0.
var writtenRankings = map[string][]written{
	"thoughts": {
		{"[THINK]Maybe [0] > [1] > [2].[/THINK]\n[2] > [0] > [1]", "2 0 1"},
		{"[think]Maybe [0] > [1] > [2].[/think]\n[2] > [0] > [1]", "2 0 1"},
		{"<think>\n[0] > [1] > [2]\n</think>\n\n[2] > [0] > [1]", "2 0 1"},
		{"<Thinking>[0] > [1] > [2]</Thinking> [2] > [0] > [1]", "2 0 1"},
		{"<thought>[0] > [1] > [2]</thought>[2] > [0] > [1]", "2 0 1"},
		{"<thoughts>[0] > [1] > [2]</thoughts>[2] > [0] > [1]", "2 0 1"},
		{"<reasoning>[0] > [1] > [2]</reasoning>[2] > [0]", "2 0"},
		{"<analysis>[0] > [1] > [2]</analysis><answer>[2] > [0]</answer>", "2 0"},
		{"<scratchpad>[0] > [1] > [2]</scratchpad>[2] > [0]", "2 0"},
		{"<scratch_pad>[0] > [1] > [2]</scratch_pad>[2] > [0]", "2 0"},
		{"<reflection>[0] > [1] > [2]</reflection>[2] > [0]", "2 0"},
		{"<thinking>a <reflection>[0] > [1] > [2]</reflection></thinking><output>[2] > [0]</output>", "2 0"},
		{"<inner_monologue>[0] > [1] > [2]</inner_monologue>[2] > [0]", "2 0"},
		{"<rationale>[0] > [1] > [2]</rationale>[2] > [0]", "2 0"},
		{"<thinking_process>[0] > [1] > [2]</thinking_process>[2] > [0]", "2 0"},
		{"<chain_of_thought>[0] > [1] > [2]</chain_of_thought>[2] > [0]", "2 0"},
		{"<seed:think>[0] > [1] > [2]</seed:think>[2] > [0]", "2 0"},
		{"<mm:think>[0] > [1] > [2]</mm:think>[2] > [0]", "2 0"},
		{"<longcat_think>[0] > [1] > [2]</longcat_think>[2] > [0]", "2 0"},
		{"<think id=\"1\">[0] > [1] > [2]</think>[2] > [0]", "2 0"},
		{"<think/>[2] > [0]", "2 0"},
		{"<think />[2] > [0]", "2 0"},
		{"◁think▷[0] > [1] > [2]◁/think▷[2] > [0]", "2 0"},
		{"<|START_THINKING|>[0] > [1] > [2]<|END_THINKING|><|START_RESPONSE|>[2] > [0]<|END_RESPONSE|>", "2 0"},
		{"<|begin_of_thought|>[0] > [1] > [2]<|end_of_thought|><|begin_of_solution|>[2] > [0]<|end_of_solution|>", "2 0"},
		{"<|think|>[0] > [1] > [2]<|/think|>[2] > [0]", "2 0"},
		{"<|thought_start|>[0] > [1] > [2]<|thought_end|>[2] > [0]", "2 0"},
		{"<unused94>thought\n[0] > [1] > [2]<unused95>[2] > [0]", "2 0"},
		{"[unused16]\n[0] > [1] > [2][unused17][2] > [0]", "2 0"},
		{"<|channel>thought\n[0] > [1] > [2]<channel|>[2] > [0]", "2 0"},
		{"<details type=\"reasoning\" done=\"true\">\n<summary>Thought for 3 s</summary>\n> [0] > [1] > [2]\n</details>\n[2] > [0]", "2 0"},
		{"<|channel|>analysis<|message|>[0] > [1] > [2]<|end|><|start|>assistant<|channel|>final<|message|>[2] > [0]", "2 0"},
		{"<|channel|>analysis<|message|>[0] > [1] > [2]<|end|><|start|>assistant<|channel|>commentary<|message|>[0] > [2] > [1]<|end|><|start|>assistant<|channel|>final<|message|>[2] > [0]<|return|>", "2 0"},
		{"<|start|>assistant<|channel|>final <|constrain|>json<|message|>[2, 0]", "2 0"},
		{"analysisWe rank: [0] > [1] > [2]. Good.assistantfinal[2] > [0]", "2 0"},
		{"analysisWe rank: [0] > [1] > [2].assistantcommentary[1] > [0] > [2]assistantfinal[2] > [0]", "2 0"},
		{"analysis\nWe rank: [0] > [1] > [2].\nassistant\nfinal\n[2] > [0]", "2 0"},
		{"[0] > [1] > [2]</think>[2] > [0]", "2 0"},
		{"[0] > [1] > [2][/THINK][2] > [0]", "2 0"},
		{"[0] > [1] > [2]◁/think▷[2] > [0]", "2 0"},
		{"[0] > [1] > [2]</seed:think>[2] > [0]", "2 0"},
		{"[0] > [1] > [2]<|END_THINKING|>[2] > [0]", "2 0"},
		{"[2] > [0] > [1]<think>No: [0] > [1] > [2]</think>", "2 0 1"},
	},
	"more thoughts": {
		{"<|im_start|>think\n[0] > [1] > [2]\n<|im_start|>answer\n[2] > [0]", "2 0"},
		{"<|inner_prefix|>[0] > [1] > [2]<|inner_suffix|>[2] > [0]", "2 0"},
		{"Here is my thought process: [0] > [1] > [2]\n\nHere is my response: [2] > [0]", "2 0"},
		{"## Thinking\n\n[0] > [1] > [2]\n\n## Final Response\n\n[2] > [0]", "2 0"},
		{"<|think|>[0] > [1] > [2]<|end|><|begin|>assistant<|content|>[2] > [0]", "2 0"},
		{"&lt;think&gt;[0] > [1] > [2]&lt;/think&gt;[2] > [0]", "2 0"},
		{"<plan>[0] > [1] > [2]</plan>[2] > [0]", "2 0"},
		{"[2] > [0] > [1]<explanation>[0] > [1] > [2]</explanation>", "2 0 1"},
		{"Thought: maybe [0] > [1] > [2].\nFinal Answer: [2] > [0]", ""},
	},
	"more forms": {
		{"Top 3: 2, 0, 1", "2 0 1"},
		{"The final ranking is 2, 0, 1.", "2 0 1"},
		{"best to worst: 2, 0, 1", "2 0 1"},
		{"Most to least relevant: [2], [0], [1]", "2 0 1"},
		{"2, 0, 1 (most to least relevant)", "2 0 1"},
		{"Ranked from most to least relevant:\n1. [2]\n2. [0]\n3. [1]", "2 0 1"},
		{"| Rank | ID |\n|--|--|\n| 1 | 2 |\n| 2 | 0 |\n| 3 | 1 |", "2 0 1"},
		{"| Passage | Score |\n|---|---|\n| [2] | 9 |\n| [0] | 7 |\n| [1] | 4 |", "2 0 1"},
		{"| Passage | Score |\n|---|---|\n| 2 | 9 |\n| 0 | 7 |\n| 1 | 4 |", ""},
		{"1. [2]\n   1. good\n   2. unlike [1]\n2. [0]\n3. [1]", "2 0 1"},
		{"a) [2]\nb) [0]\nc) [1]", "2 0 1"},
		{"② > ⓪ > ①", "2 0 1"},
		{"<2> > <0> > <1>", "2 0 1"},
		{"{\"first\": 2, \"second\": 0, \"third\": 1}", "2 0 1"},
		{"{\"ranking\": [[2], [0], [1]]}", "2 0 1"},
		{"[2] > [0] > the rest", "2 0"},
		{"[0] > [1] > [2] → [2] > [0] > [1]", "2 0 1"},
		{"[2] , [0] > [1]", ""},
		{"[2] ~ [0] > [1]", ""},
		{"<[2]> > <[0]> > <[1]>", ""},
		{"Least relevant: [1]\nMost relevant: [2]", ""},
		{"[2]: 3\n[0]: 9\n[1]: 5", ""},
		{"1. 2 passages mention it\n2. 0 of them say when\n3. 1 is off topic", ""},
	},
	"thoughts without an end": {
		{"[THINK][0] > [1] > [2]", ""},
		{"<thought>[0] > [1] > [2]", ""},
		{"<seed:think>[0] > [1] > [2]", ""},
		{"◁think▷[0] > [1] > [2]", ""},
		{"<|START_THINKING|>[0] > [1] > [2]", ""},
		{"<scratchpad>[0] > [1] > [2]", ""},
		{"<analysis>[0] > [1] > [2]", ""},
		{"<unused94>thought\n[0] > [1] > [2]", ""},
		{"<|channel|>analysis<|message|>[0] > [1] > [2]", ""},
		{"<|channel|>analysis<|message|>[0] > [1]<|end|><|start|>assistant<|channel|>analysis<|message|>[0] > [1] > [2]", ""},
		{"analysisThe user wants [0] > [1] > [2]", ""},
	},
	"words": {
		{"Passage 2 > Passage 0 > Passage 1", "2 0 1"},
		{"passage 2>passage 0>passage 1", "2 0 1"},
		{"Document 2 > Document 0 > Document 1", "2 0 1"},
		{"Doc. [2] > Doc. [0] > Doc. [1]", "2 0 1"},
		{"Doc2 > Doc0 > Doc1", "2 0 1"},
		{"doc_2 > doc_0 > doc_1", "2 0 1"},
		{"Passage #2 > Passage #0 > Passage #1", "2 0 1"},
		{"Passage ID 2 > Passage ID 0 > Passage ID 1", "2 0 1"},
		{"#2 > #0 > #1", "2 0 1"},
		{"P2 > P0 > P1", "2 0 1"},
		{"[P2] > [P0] > [P1]", "2 0 1"},
		{"(Passage 2) > (Passage 0) > (Passage 1)", "2 0 1"},
		{"Passage (2) > Passage (0) > Passage (1)", "2 0 1"},
		{"**Passage 2** > **Passage 0** > **Passage 1**", "2 0 1"},
		{"Text 2 > Text 0 > Text 1", "2 0 1"},
		{"ID: 2 > ID: 0 > ID: 1", "2 0 1"},
		{"Passage 2, Passage 0, Passage 1", "2 0 1"},
		{"Ranking: Passage 2, Passage 0 and Passage 1.", "2 0 1"},
		{"Passage 2\nPassage 0\nPassage 1", "2 0 1"},
		{"Passage 2 > Passage 0", "2 0"},
		{"段落2 > 段落0 > 段落1", "2 0 1"},
	},
	"marks": {
		{"(2) > (0) > (1)", "2 0 1"},
		{"(2), (0), (1)", "2 0 1"},
		{"{2} > {0} > {1}", "2 0 1"},
		{"**2** > **0** > **1**", "2 0 1"},
		{"__2__ > __0__ > __1__", "2 0 1"},
		{"*2* > *0* > *1*", "2 0 1"},
		{"_2_ > _0_ > _1_", "2 0 1"},
		{"`2` > `0` > `1`", "2 0 1"},
		{"`[2]` > `[0]` > `[1]`", "2 0 1"},
		{"`[2] > [0] > [1]`", "2 0 1"},
		{"```\n[2] > [0] > [1]\n```", "2 0 1"},
		{"```text\n2 > 0 > 1\n```", "2 0 1"},
		{"<u>2</u> > <u>0</u> > <u>1</u>", "2 0 1"},
		{"<b>[2]</b> > <b>[0]</b> > <b>[1]</b>", "2 0 1"},
		{"\"2\" > \"0\" > \"1\"", "2 0 1"},
		{"“2” > “0” > “1”", "2 0 1"},
		{"\\[2\\] > \\[0\\] > \\[1\\]", "2 0 1"},
		{"\\[2 \\succ 0 \\succ 1\\]", "2 0 1"},
		{"$2 \\rightarrow 0 \\rightarrow 1$", "2 0 1"},
		{"\\boxed{[2] > [0] > [1]}", "2 0 1"},
		{"\\boxed{2 > 0 > 1}", "2 0 1"},
		{"$\\textbf{2} > \\textbf{0} > \\textbf{1}$", "2 0 1"},
		{"２ ＞ ０ ＞ １", "2 0 1"},
		{"（２）＞（０）＞（１）", "2 0 1"},
		{"［２］、［０］、［１］", "2 0 1"},
		{"【2】 > 【0】 > 【1】", "2 0 1"},
		{"𝟐 > 𝟎 > 𝟏", "2 0 1"},
		{"2️⃣ > 0️⃣ > 1️⃣", "2 0 1"},
		{"> [2] > [0] > [1]", "2 0 1"},
		{"<answer>[2] > [0] > [1]</answer>", "2 0 1"},
		{"<ranking>2, 0, 1</ranking>", "2 0 1"},
		{"[2] > [0] > [1]<|im_end|>", "2 0 1"},
		{"[[2], [0], [1]]", "2 0 1"},
		{"[[2] > [0] > [1]]", "2 0 1"},
	},
	"chains": {
		{"2 > 0 > 1", "2 0 1"},
		{"[2] >> [0] >> [1]", "2 0 1"},
		{"[2] >>> [0] > [1]", "2 0 1"},
		{"[2] -> [0] -> [1]", "2 0 1"},
		{"[2] => [0] => [1]", "2 0 1"},
		{"[2] --> [0] --> [1]", "2 0 1"},
		{"[2] → [0] → [1]", "2 0 1"},
		{"[2] ≻ [0] ≻ [1]", "2 0 1"},
		{"2 ≻ 0 ≻ 1", "2 0 1"},
		{"[2] ≥ [0] ≥ [1]", "2 0 1"},
		{"[2] &gt; [0] &gt; [1]", "2 0 1"},
		{"2 &gt; 0 &gt; 1", "2 0 1"},
		{"[2] > [0] = [1]", "2 0 1"},
		{"2 > 0 = 1", "2 0 1"},
		{"[2]\n> [0]\n> [1]", "2 0 1"},
		{"[2] >\n[0] >\n[1]", "2 0 1"},
		{"[2] (0.93) > [0] (0.51) > [1] (0.02)", "2 0 1"},
		{"[2] (5) > [0] (3) > [1] (1)", "2 0 1"},
		{"[2] (on topic) > [0] (in part) > [1] (off topic)", "2 0 1"},
		{"Passage 2 (best) > Passage 0 > Passage 1 (worst)", "2 0 1"},
		{"[2] > 0 > 1", "2 0 1"},
		{"The final ranking is [2] > [0] > [1].", "2 0 1"},
		{"[2] > [0] > [1]\n\nPassage [1] is off topic, and [0] says little about 1907.", "2 0 1"},
		{"1. [2] > [0] > [1]", "2 0 1"},
		{"[1] < [0] < [2]", "2 0 1"},
		{"1 < 0 < 2", "2 0 1"},
		{"Passage 1 < Passage 0 < Passage 2", "2 0 1"},
		{"[1] &lt; [0] &lt; [2]", "2 0 1"},
		{"[1] ≺ [0] ≺ [2]", "2 0 1"},
		{"[1] <- [0] <- [2]", "2 0 1"},
		{"From the least to the most relevant: [1] < [0] < [2]", "2 0 1"},
		{"[2], then [0], then [1]", "2 0 1"},
		{"The best is [2], followed by [0], and finally [1].", "2 0 1"},
		{"[2] is the most relevant, followed by [0] and then [1].", "2 0 1"},
		{"I would put Passage 2 first, then Passage 0, then Passage 1.", "2 0 1"},
	},
	"lists": {
		{"[2], [0], [1]", "2 0 1"},
		{"[2] [0] [1]", "2 0 1"},
		{"[2][0][1]", "2 0 1"},
		{"[2]; [0]; [1].", "2 0 1"},
		{"[2] | [0] | [1]", "2 0 1"},
		{"[2] - [0] - [1]", "2 0 1"},
		{"2-0-1", "2 0 1"},
		{"2, 0, 1", "2 0 1"},
		{"2,0,1", "2 0 1"},
		{"2 0 1", "2 0 1"},
		{"Answer: 2, 0, 1", "2 0 1"},
		{"**Final ranking:** 2, 0, 1", "2 0 1"},
		{"Here is the ranking:\n\n[2], [0], [1]", "2 0 1"},
		{"Sure! Here you go:\n[2], [0], [1]", "2 0 1"},
		{"- [2]\n- [0]\n- [1]", "2 0 1"},
		{"* 2\n* 0\n* 1", "2 0 1"},
		{"• Passage 2\n• Passage 0\n• Passage 1", "2 0 1"},
		{"2\n0\n1", "2 0 1"},
		{"[2]\n\n[0]\n\n[1]\n", "2 0 1"},
		{"[2]: 0.9\n[0]: 0.5\n[1]: 0.1", "2 0 1"},
		{"Passage 2 - score 9/10\nPassage 0 - score 4/10\nPassage 1 - score 0/10", "2 0 1"},
		{"[2] (95%)\n[0] (40%)\n[1] (3%)", "2 0 1"},
		{"Here is the ranking:\n- [2]: it says so\n- [0]: in part\n- [1]: off topic", "2 0 1"},
		{"排序结果：[2]，[0]，[1]", "2 0 1"},
	},
	"numbered lists": {
		{"1. [2]\n2. [0]\n3. [1]", "2 0 1"},
		{"1. 2\n2. 0\n3. 1", "2 0 1"},
		{"1) 2\n2) 0\n3) 1", "2 0 1"},
		{"1. **2**\n2. **0**\n3. **1**", "2 0 1"},
		{"1. Passage 2\n2. Passage 0\n3. Passage 1", "2 0 1"},
		{"1. **Passage 2**: it says so\n2. **Passage 0**: in part\n3. **Passage 1**: off topic", "2 0 1"},
		{"1. [2] - it answers better than [0]\n2. [0] - in part\n3. [1] - off topic", "2 0 1"},
		{"1. [2] (score: 0.9)\n2. [0] (score: 0.5)\n3. [1] (score: 0.1)", "2 0 1"},
		{"1. 2 (0.9)\n2. 0 (0.5)\n3. 1 (0.1)", "2 0 1"},
		{"1. 2 - it says so\n2. 0 - in part\n3. 1 - off topic", "2 0 1"},
		{"1. (2)\n2. (0)\n3. (1)", "2 0 1"},
		{"(1) [2]\n(2) [0]\n(3) [1]", "2 0 1"},
		{"(1) Passage 2\n(2) Passage 0\n(3) Passage 1", "2 0 1"},
		{"1: [2]\n2: [0]\n3: [1]", "2 0 1"},
		{"#1: [2]\n#2: [0]\n#3: [1]", "2 0 1"},
		{"1 - Passage 2\n2 - Passage 0\n3 - Passage 1", "2 0 1"},
		{"Rank 1: [2]\nRank 2: [0]\nRank 3: [1]", "2 0 1"},
		{"Rank 1: Passage 2\nRank 2: Passage 0\nRank 3: Passage 1", "2 0 1"},
		{"**Rank 1:** 2\n**Rank 2:** 0\n**Rank 3:** 1", "2 0 1"},
		{"1st: [2]\n2nd: [0]\n3rd: [1]", "2 0 1"},
		{"1st place: Passage 2\n2nd place: Passage 0\n3rd place: Passage 1", "2 0 1"},
		{"First: [2]\nSecond: [0]\nThird: [1]", "2 0 1"},
		{"First: [2], Second: [0], Third: [1]", "2 0 1"},
		{"1. [2] 2. [0] 3. [1]", "2 0 1"},
		{"1) Passage 2, 2) Passage 0, 3) Passage 1", "2 0 1"},
		{"1. [2]\n   - it says so\n2. [0]\n   - in part\n3. [1]\n   - off topic", "2 0 1"},
		{"### 1. Passage [2]\nIt says so.\n\n### 2. Passage [0]\nIn part.\n\n### 3. Passage [1]\nOff topic.", "2 0 1"},
		{"1. \"It turns into a tun\" [2]\n2. \"A dry form\" [0]\n3. \"Ships sail\" [1]", "2 0 1"},
		{"Here is the ranking:\n\n1. [2]\n2. [0]\n3. [1]\n\nLet me know if you need more!", "2 0 1"},
		{"| Rank | Passage |\n|---|---|\n| 1 | [2] |\n| 2 | [0] |\n| 3 | [1] |", "2 0 1"},
		{"| Rank | Passage | Why |\n|---|---|---|\n| 1 | Passage 2 | it says so |\n| 2 | Passage 0 | in part |\n| 3 | Passage 1 | no |", "2 0 1"},
		{"0. [2]\n1. [0]\n2. [1]", "2 0 1"},
		{"1️⃣ Passage 2\n2️⃣ Passage 0\n3️⃣ Passage 1", "2 0 1"},
		{"<ol><li>Passage 2</li><li>Passage 0</li><li>Passage 1</li></ol>", "2 0 1"},
		{"Top passages:\n1. [2]\n2. [0]", "2 0"},
	},
	"JSON": {
		{"[2, 0, 1]", "2 0 1"},
		{"[\"2\", \"0\", \"1\"]", "2 0 1"},
		{"['2', '0', '1']", "2 0 1"},
		{"[\"[2]\", \"[0]\", \"[1]\"]", "2 0 1"},
		{"[\"Passage 2\", \"Passage 0\", \"Passage 1\"]", "2 0 1"},
		{"```json\n[2, 0, 1]\n```", "2 0 1"},
		{"```json\n{\"ranking\": [2, 0, 1]}\n```", "2 0 1"},
		{"{\"ranking\": [2, 0, 1]}", "2 0 1"},
		{"{'ranking': [2, 0, 1]}", "2 0 1"},
		{"{\n  \"ranking\": [\n    2,\n    0,\n    1\n  ]\n}", "2 0 1"},
		{"{\"ranking\": [\"2\", \"0\", \"1\"]}", "2 0 1"},
		{"{\"ranking\": [\"[2]\", \"[0]\", \"[1]\"]}", "2 0 1"},
		{"{\"ranking\": \"[2] > [0] > [1]\"}", "2 0 1"},
		{"{\"ranking\": \"2 > 0 > 1\"}", "2 0 1"},
		{"{\"reasoning\": \"maybe [0] > [1] > [2]\", \"ranking\": [2, 0, 1]}", "2 0 1"},
		{"{\"ranking\": [2, 0, 1], \"explanation\": \"not [0] > [1] > [2]\"}", "2 0 1"},
		{"{\"passages\": [0, 1, 2], \"ranking\": [2, 0, 1]}", "2 0 1"},
		{"{\"ranking\": [2, 0, 1], \"passages\": [0, 1, 2]}", "2 0 1"},
		{"{\"ranking\": [2, 0, 1], \"scores\": [0, 1, 2]}", "2 0 1"},
		{"{\"result\": {\"ranked_passages\": [2, 0, 1]}}", "2 0 1"},
		{"[{\"id\": 2}, {\"id\": 0}, {\"id\": 1}]", "2 0 1"},
		{"[{\"passage\": \"[2]\", \"score\": 0.9}, {\"passage\": \"[0]\", \"score\": 0.5}, {\"passage\": \"[1]\", \"score\": 0.1}]", "2 0 1"},
		{"[{\"rank\": 1, \"id\": 2}, {\"rank\": 2, \"id\": 0}, {\"rank\": 3, \"id\": 1}]", "2 0 1"},
		{"[{\"id\": 0, \"rank\": 2}, {\"id\": 1, \"rank\": 3}, {\"id\": 2, \"rank\": 1}]", "2 0 1"},
		{"{\"rankings\": [{\"passage_id\": 2, \"reason\": \"best of 3\"}, {\"passage_id\": 0, \"reason\": \"\"}, {\"passage_id\": 1, \"reason\": \"\"}]}", "2 0 1"},
		{"{\"id\": 2}\n{\"id\": 0}\n{\"id\": 1}", "2 0 1"},
		{"{\"1\": \"Passage 2\", \"2\": \"Passage 0\", \"3\": \"Passage 1\"}", "2 0 1"},
		{"{\"rank_1\": 2, \"rank_2\": 0, \"rank_3\": 1}", "2 0 1"},
		{"Here is the JSON:\n```json\n{\"ranking\": [2, 0, 1]}\n```\nI hope that helps with all 3.", "2 0 1"},
		{"Ranking: [2, 0, 1]", "2 0 1"},
		{"ranking = [2, 0, 1]", "2 0 1"},
		{"ranking:\n  - 2\n  - 0\n  - 1", "2 0 1"},
		{"[{\"id\": 0, \"score\": 0.2}, {\"id\": 1, \"score\": 0.9}, {\"id\": 2, \"score\": 0.5}]", ""},
		{"{\"1\": 2, \"2\": 0, \"3\": 1}", ""},
		{"{\"Passage 2\": 1, \"Passage 0\": 2, \"Passage 1\": 3}", ""},
		{"{\"scores\": [2, 0, 1]}", ""},
	},
	"revised": {
		{"Initial: [1] > [2] > [0]\nFinal: [2] > [0] > [1]", "2 0 1"},
		{"[0] > [1] > [2]\n\nWait, that is wrong.\n\n[2] > [0] > [1]", "2 0 1"},
		{"[1] > [2] > [0]\nFinal: 2 > 0 > 1", "2 0 1"},
		{"[1] > [2] > [0]\nFinal answer: [2, 0, 1]", "2 0 1"},
		{"1. [1]\n2. [2]\n3. [0]\n\nFinal: [2] > [0] > [1]", "2 0 1"},
		{"1. [0] is about bread\n2. [1] is about ships\n3. [2] says so\n\n[2] > [0] > [1]", "2 0 1"},
		{"[0], [1], [2]\n\n[2], [0], [1]", "2 0 1"},
		{"Draft:\n1. Passage 0\n2. Passage 1\n3. Passage 2\nFinal:\n1. Passage 2\n2. Passage 0\n3. Passage 1", "2 0 1"},
		{"> [0] > [1] > [2]\n> [2] > [0] > [1]", "2 0 1"},
		{"[2] > [0] > [1], not [0] > [1] > [2]", "2 0 1"},
		{"**Ranking:** 0 > 1 > 2\n\n| Rank | Passage |\n|---|---|\n| 1 | [2] |\n| 2 | [0] |\n| 3 | [1] |", "2 0 1"},
		{"[1] > [2]\nor rather\n[2] > [1]", "2 1"},
	},
	"backwards": {
		{"[2] > [0] > [1]\n\n(The first one is the least relevant.)", ""},
		{"Unwichtigste zuerst: [2], [0], [1]", ""},
		{"最不相关到最相关：[2] > [0] > [1]", ""},
		{"{\"ranking\": [2, 0, 1], \"note\": \"least relevant first\"}", ""},
		{"从最相关到最不相关：[2] > [0] > [1]", "2 0 1"},
		{"Top to bottom: [2] > [0] > [1]", "2 0 1"},
		{"Bottom to top: [0] > [2] > [1]", ""},
		{"Worst → best: [2] → [0] → [1]", ""},
		{"[2] > [0] > [1] (least relevant first)", ""},
		{"(from least relevant to most relevant)\n[2] > [0] > [1]", ""},
		{"[2] > [0] > [1], from least to most relevant.", ""},
		{"[2] > [0] > [1]\n(ordered from least to most relevant)", ""},
		{"I ordered them from least to most relevant.\n\nHere it is:\n\n[2] > [0] > [1]", ""},
		{"Sorted by irrelevance: [2] > [0] > [1]", ""},
		{"least important → most important: [2] → [0] → [1]", ""},
		{"bottom-up: 2, 0, 1", ""},
		{"Ranked last to first: [2], [0], [1]", ""},
		{"Last to first:\n1. [2]\n2. [0]\n3. [1]", ""},
		{"from low to high relevance: [2], [0], [1]", ""},
		{"The most relevant passage comes last: [2] > [0] > [1]", ""},
		{"Starting with the worst: [2] > [0] > [1]", ""},
		{"Inverse ranking: [2] > [0] > [1]", ""},
		{"In order of increasing relevance:\n1. [2]\n2. [0]\n3. [1]", ""},
		{"按相关性从低到高: [2] > [0] > [1]", ""},
		{"按相关性升序排列：[2]、[0]、[1]", ""},
		{"Vom unwichtigsten zum wichtigsten: [2], [0], [1]", ""},
		{"Aufsteigend nach Relevanz: [2] > [0] > [1]", ""},
		{"Du moins pertinent au plus pertinent : [2] > [0] > [1]", ""},
		{"De menor a mayor relevancia: [2] > [0] > [1]", ""},
		{"From worst to best:\n{\"ranking\": [2, 0, 1]}", ""},
		{"Ranked from high to low relevance: [2] > [0] > [1]", "2 0 1"},
		{"From the most to the least relevant:\n\n[2] > [0] > [1]", "2 0 1"},
		{"[2] > [0] > [1] (most relevant first)", "2 0 1"},
		{"[2] > [0] > [1]\n\nPassage [1] is the least relevant to the question.", "2 0 1"},
		{"按相关性从高到低: [2] > [0] > [1]", "2 0 1"},
	},
	"backwards, by scores or names": {
		{"1. [2] (score 0.1)\n2. [0] (score 0.5)\n3. [1] (score 0.9)", ""},
		{"1. [2] - 10%\n2. [0] - 50%\n3. [1] - 95%", ""},
		{"[2] (0.1) > [0] (0.5) > [1] (0.9)", ""},
		{"{\"worst_to_best\": [2, 0, 1]}", ""},
		{"{\"least_relevant_first\": [2, 0, 1]}", ""},
		{"{\"order\": \"ascending\", \"ranking\": [2, 0, 1]}", ""},
		{"{\"ranking\": [2, 0, 1], \"order\": \"least relevant first\"}", ""},
		{"ranking_ascending:\n  - 2\n  - 0\n  - 1", ""},
		{"worst_to_best: [2, 0, 1]", ""},
		{"{\"order\": \"descending\", \"ranking\": [2, 0, 1]}", "2 0 1"},
	},
	"by place": {
		{"Rank: 2, 0, 1", ""},
		{"Position: [2], [0], [1]", ""},
		{"Relevance: 2, 0, 1", ""},
		{"{\"ranks\": [3, 1, 2]}", ""},
		{"{\"rank\": [2, 0, 1]}", ""},
		{"{\"positions\": [3, 1, 2]}", ""},
		{"{\"passages\": [0, 1, 2], \"ranking\": [3, 1, 2]}", ""},
		{"{\"ranking\": [3, 1, 2], \"ids\": [0, 1, 2]}", ""},
		{"Ranks: 2, 0, 1", ""},
		{"Positions: 2 0 1", ""},
		{"Relevance scores: [2] [0] [1]", ""},
		{"Relevance (0-2): 2, 0, 1", ""},
		{"The passages' ranks are [2], [0], [1].", ""},
		{"Labels: [2] [0] [1]", ""},
		{"(0,2), (1,0), (2,1)", ""},
		{"[0, 2], [1, 0], [2, 1]", ""},
		{"Ranked by relevance score: [2], [0], [1]", "2 0 1"},
	},
	"turns and marks": {
		{"[2] > [0] > [1]\n\nHuman: thanks. now by date\n\nAssistant: [0] > [1] > [2]", "2 0 1"},
		{"[2] > [0] > [1]\n### Instruction:\nRank...\n### Response:\n[0] > [1] > [2]", "2 0 1"},
		{"I cannot.\nUser: please\nAssistant: [2] > [0] > [1]", ""},
		{"[2] > [0] > [1]\nAssistant: [0] > [1] > [2]", ""},
		{"[2] > [0] > [1]\n\nQuery: other\n[0] > [1] > [2]", ""},
		{"Ranking A: [2] > [0] > [1]\nRanking B: [0] > [2] > [1]\nI prefer ranking A.", ""},
		{"Relevance: [2] > [0] > [1]\nReadability: [0] > [2] > [1]", ""},
		{"By date: [2] > [0] > [1]\nBy length: [0] > [2] > [1]\n", ""},
		{"<answer>[2] > [0] > [1]</answer>\nThe naive order [0] > [1] > [2] is worse.", "2 0 1"},
		{"<answer>[0] > [1] > [2]</answer>\nWait. [2] > [0] > [1]", "2 0 1"},
		{"[0] > [1] > [2] ... so \\boxed{2, 0, 1}", "2 0 1"},
		{"[0] > [1] > [2] ... so \\boxed{\\text{[2] > [0] > [1]}}.", "2 0 1"},
		{"[2] > [0] > [1] ~~[1] > [0] > [2]~~", "2 0 1"},
		{"~~[2] > [0] > [1]~~", ""},
		{"<del>[2] > [0] > [1]</del>", ""},
		{"<!-- [2] > [0] > [1] -->", ""},
		{"[2] > [0] > [1] <!-- [0] > [1] > [2] -->", "2 0 1"},
		{"<!-- [2] > [0] > [1]", ""},
		{"＜think＞[2] > [0] > [1]", ""},
		{"＜think＞[0] > [1] > [2]＜/think＞[2] > [0] > [1]", "2 0 1"},
		{"```thinking\n[2] > [0] > [1]\n```\n", ""},
		{"```thinking\n[0] > [1] > [2]\n```\n[2] > [0] > [1]", "2 0 1"},
		{"<tool_call>[2] > [0] > [1]</tool_call>", ""},
		{"thought\n[2] > [0] > [1]\n", ""},
	},
	"no ranking": {
		{"Sources: [2], [0], [1]", ""},
		{"[2] ⊁ [0] > [1]", ""},
		{"{\"ignore\": [2, 0, 1]}", ""},
		{"{\"ranking\": [], \"passages\": [2, 0, 1]}", ""},
		{"{\"error\": \"cannot rank\", \"example\": \"[2] > [0] > [1]\"}", ""},
		{"{\"final_ranking\": [2, 0, 1], \"initial_ranking\": [1, 0, 2]}", "2 0 1"},
		{"The answer is 42 [2][0][1].", ""},
		{"The best answer was given by Einstein [2][0][1].", ""},
		{"I will rank the following passages:\n[0] When its film\n[1] The Swedish\n[2] In December", ""},
		{"1. First, I look at passage 2.\n2. Then I look at passage 0.\n3. Last I look at passage 1.", ""},
		{"1. Passage 0 is not relevant.\n2. Passage 1 is the most relevant.\n3. Passage 2 is somewhat relevant.", ""},
		{"[1] !> [0] > [2]", ""},
		{"[1] ≯ [0] > [2]", ""},
		{"[1] >\u0338 [0] > [2]", ""},
		{"2 > 0 - 2 > 1", ""},
	},
	"the worst": {
		{"Worst: [2] > [0]", ""},
		{"The two worst are [2] > [0].", ""},
		{"Least relevant: [2] > [0] > [1]", ""},
		{"Irrelevant: [2] > [0] > [1]", ""},
		{"Bottom two: [2], [0]", ""},
	},
	"not meant": {
		{"For instance, [2] > [0] > [1]", ""},
		{"You should answer with [2] > [0] > [1]", ""},
		{"I doubt that [2] > [0] > [1]", ""},
		{"Is [2] > [0] > [1] right?", ""},
		{"{\"error\": \"no\", \"ranking\": [2, 0, 1]}", ""},
		{"The most relevant passages should be listed first. [2] > [0] > [1]", "2 0 1"},
		{"I would not rank them as [2] > [0] > [1].", ""},
		{"The ranking [2] > [0] > [1] is incorrect.", ""},
		{"[2] > [0] > [1]\nThat is wrong.", ""},
		{"Sorry, I cannot help. A valid answer would look like: [2] > [0] > [1]", ""},
		{"Please provide the ranking in the form [2] > [0] > [1].", ""},
		{"The output format is [2] > [0] > [1]", ""},
		{"E.g., [2] > [0] > [1]", ""},
		{"(example) [2] > [0] > [1]", ""},
		{"Example of the format: [2] > [0] > [1]. However, I cannot rank them.", ""},
		{"I can't produce a ranking like [2] > [0] > [1] because all are off topic.", ""},
		{"It would be a mistake to rank them [2] > [0] > [1].", ""},
		{"Wrong order: [2] > [0] > [1]", ""},
		{"Is it [2] > [0] > [1]? I am not sure.", ""},
		{"Should be [2] > [0] > [1]? No.", ""},
		{"Maybe [2] > [0] > [1]. Hmm, no, let me check", ""},
		{"None of these: [2] > [0] > [1]", ""},
		{"Ranking: none of [2], [0], [1]", ""},
		{"Off-topic: [2] [0] [1]", ""},
		{"Fails to mention the topic: [2], [0], [1]", ""},
		{"Passages to discard: 2, 0, 1", ""},
		{"Passages I read: 2, 0, 1", ""},
		{"Duplicates: [2] = [0] = [1]", ""},
		{"不相关：[2]、[0]、[1]", ""},
		{"if [2] > [0] > [1] then x", ""},
		{"Countdown: 2 1 0", ""},
		{"Here is the ranking in the requested format: [2] > [0] > [1]", "2 0 1"},
		{"Passage 1 does not answer, so the ranking is [2] > [0] > [1].", "2 0 1"},
		{"I would rank them: [2] > [0] > [1]. Let me know if you need more!", "2 0 1"},
		{"Passage 1 is not relevant. Ranking: [2] > [0] > [1]", "2 0 1"},
	},
	"another's": {
		{"ChatGPT's ranking: [2] > [0] > [1]", ""},
		{"Someone else said [2] > [0] > [1].", ""},
		{"Sorted by length: [2] > [0] > [1]", ""},
		{"Popularity: [2] > [0] > [1]", ""},
		{"[2] > [0] > [1]\n\nThe original order was [0] > [1] > [2].", ""},
		{"[2] > [0] > [1]\nwhich differs from the input order [0] > [1] > [2]", ""},
		{"Correct: [2] > [0] > [1]\nIncorrect: [0] > [1] > [2]", ""},
		{"Mine: [2] > [0] > [1]\nBaseline (BM25): [0] > [2] > [1]", ""},
		{"Final: [1] > [0] > [2]. The alternative [2] > [0] > [1] was rejected.", ""},
		{"[2] > [0] > [1]\nInitial draft: [0] > [2] > [1]", ""},
		{"Original: [1] > [2] > [0]", ""},
		{"Original order: [0] > [1] > [2]\nNew order: [2] > [0] > [1]", "2 0 1"},
	},
	"prose": {
		{"I cannot rank these.", ""},
		{"I cannot rank [0], [1] and [2].", ""},
		{"Passages [0] and [2] are relevant, [1] is not.", ""},
		{"Passage [0] is about bread. Passage [1] is about ships. Passage [2] answers the question.", ""},
		{"[0] is about bread.\n[1] is about ships.\n[2] answers the question.", ""},
		{"Passage 2 is better than the others.", ""},
		{"Passage 0: bread\nPassage 1: ships\nPassage 2: the answer", ""},
		{"[0]: 0.3\n[1]: 0.9\n[2]: 0.5", ""},
		{"[0]: 3\n[1]: 2\n[2]: 1", ""},
		{"Relevance: 2\nConfidence: 1", ""},
		{"Scores: 2, 0, 1", ""},
		{"Irrelevant: [0], [1], [2]", ""},
		{"The passages, in no particular order: [0], [1], [2]", ""},
		{"From least to most relevant: [1], [0], [2]", ""},
		{"From least to most relevant: [1] > [0] > [2]", ""},
		{"[1] < [0] > [2]", ""},
		{"[2] > [0] > ... > [1]", ""},
		{"[0]-[2]", ""},
		{"Passages 0-2 are off topic.", ""},
		{"In 1905, 2 of 3 passages were written.", ""},
		{"2 > 0", ""},
		{"It scored 0.9 > 0.5 > 0.1.", ""},
		{"At 2:30 on 1/2/2020, 50% of 3 > 2.", ""},
		{"There are 3 passages: 2 about ships, 1 about bread, 0 about salt.", ""},
		{"Relevant: [2] > [0]. Irrelevant: [1] > [3].", ""},
		{"A > [0] > [1]", ""},
		{"[0] > [1] > B", ""},
		{"[0] > [1], [2] > [1], [2] > [0]", ""},
		{"I would not say [0] > [1] > [2].", ""},
		{"| Passage | Rank |\n|---|---|\n| 0 | 2 |\n| 1 | 3 |\n| 2 | 1 |", ""},
		{"1. The second passage\n2. The first", ""},
		{"1. [0] and [1] are off topic\n2. [2] answers", ""},
		{"[2] > [0] > [1]\n\nReasons:\n1. [0] is about bread\n2. [1] is about ships\n3. [2] says so", "2 0 1"},
		{"[2] > [0] > [1]\n\n1. [0] is about bread\n2. [1] is about ships\n3. [2] says so", ""},
		{"[2] > [0] > [1]\n\nPassages: [0], [1], [2]", "2 0 1"},
		{"[2] > \x00[0] > [1]", ""},
		{"[2] > [0] > [1]\x00", ""},
	},
}

// What teachers write is read where it is clear, and refused where it is not.
func TestWrittenRankings(t *testing.T) {
	for kind, all := range writtenRankings {
		t.Run(kind, func(t *testing.T) {
			for _, c := range all {
				got := Parse(c.text, 3, 0)
				read := strings.Trim(fmt.Sprint(got.Order[:got.Found]), "[]")
				require.Equal(t, c.want, read, "%q: %+v", c.text, got)
			}
		})
	}
}

// Ranges, and the other base, in lists of five.
func TestWrittenRanges(t *testing.T) {
	for text, want := range map[string]string{
		"[2] > [0] > [3-4]":                     "2 0 3 4",
		"[2] > [0] > [3–4] > [1]":               "2 0 3 4 1",
		"[2] > [0] > [3]-[4] > [1]":             "2 0 3 4 1",
		"[2] > [0] > 3..4 > [1]":                "2 0 3 4 1",
		"[2] > [0] > [3] to [4]":                "2 0 3 4",
		"[2] > [0] > passages 3-4":              "2 0 3 4",
		"2 > 0 > 3-4 > 1":                       "2 0 3 4 1",
		"[4-2] > [0] > [1]":                     "4 3 2 0 1",
		"[2], [0], [3]-[4], [1]":                "2 0 3 4 1",
		"[2] > [0] > [3, 4] > [1]":              "2 0 3 4 1",
		"[2] > [0] > [3], [4]":                  "2 0 3 4",
		"[2] > ([3], [4]) > [0]":                "2 3 4 0",
		"[1] < [0] < [3-4]":                     "4 3 0 1",
		"[2] > [0] > [3]...[4]":                 "",
		"[2] > [0] > [3:4]":                     "",
		"[2] > [0], [1] > [3]":                  "",
		"Relevant: [2] > [0]. Else: [1] > [3].": "",
		"5, 1, 2, 3, 4":                         "4 0 1 2 3",
		"[5] > [1-4]":                           "4 0 1 2 3",
		"1. Passage 5\n2. Passage 1":            "4 0",
		"{\"ranking\": [5, 1, 2, 4, 3]}":        "4 0 1 3 2",
	} {
		got := Parse(text, 5, 0)
		require.Equal(t, want, strings.Trim(fmt.Sprint(got.Order[:got.Found]), "[]"), "%q: %+v", text, got)
	}
}

// Every form but the one that was asked for is a repair.
func TestOtherFormsAreCounted(t *testing.T) {
	for _, kind := range []string{"words", "marks", "chains", "lists", "numbered lists", "JSON"} {
		for _, c := range writtenRankings[kind] {
			if got := Parse(c.text, 3, 0); !strings.Contains(strings.Join(strings.Fields(plain(c.text).text), " "), "[2] > [0] > [1]") && got.Found > 0 {
				require.NotZero(t, got.Repairs.WrongForm, "%q", c.text)
			}
		}
	}
	for _, c := range writtenRankings["revised"] {
		if got := Parse(c.text, 3, 0); strings.HasPrefix(c.want, "2 ") {
			require.LessOrEqual(t, got.Repairs.Revised, 1)
		}
	}
}

// forms are ways to write a ranking of any length; "%" is an identifier, and what
// stands before and behind the second bar is repeated for each: the first joins.
var forms = []struct {
	name                   string
	begin, each, join, end string
}{
	{"as asked", "", "[%]", " > ", ""},
	{"behind a thought", "<think>[1] > [0]</think>\n", "[%]", " > ", ""},
	{"round brackets", "", "(%)", " > ", ""},
	{"words", "", "Passage %", " > ", ""},
	{"words in brackets", "", "[Doc. %]", " > ", "."},
	{"words with bars", "", "passage_%", ">", ""},
	{"bold", "**Ranking:** ", "**%**", " > ", "\n"},
	{"underlined", "", "<u>%</u>", " > ", ""},
	{"full width", "", "【%】", "＞", ""},
	{"arrows", "Final: ", "[%]", " → ", ""},
	{"much greater", "", "%", " >> ", ""},
	{"LaTeX", "\\boxed{", "%", " \\succ ", "}"},
	{"with scores", "", "[%] (0.5)", " > ", ""},
	{"with remarks", "", "[%] (on topic)", " > ", ""},
	{"commas", "", "[%]", ", ", "."},
	{"bare commas", "Answer: ", "%", ", ", ""},
	{"nothing but numbers", "", "%", " ", ""},
	{"line by line", "", "[%]", "\n", "\n"},
	{"bullets", "Here is the ranking:\n", "- Passage %", "\n", ""},
	{"bullets with remarks", "Ranking:\n", "- [%]: it says so", "\n", ""},
	{"numbers", "", "#. %", "\n", ""},
	{"numbers and brackets", "", "#. [%]", "\n", "\n\nI hope this helps."},
	{"numbers and words", "", "#) **Passage %** - on topic, as in 1907", "\n", ""},
	{"numbers and titles", "", "#. \"A title\" [%]", "\n", ""},
	{"ranks", "", "Rank #: Passage %", "\n", ""},
	{"ranks in one line", "", "#. [%]", " ", ""},
	{"a table", "| Rank | Passage | Why |\n|---|---|---|\n", "| # | [%] | on topic |", "\n", ""},
	{"a list of JSON", "```json\n[", "%", ", ", "]\n```"},
	{"strings of JSON", "[", "\"[%]\"", ",", "]"},
	{"an object", "{\"ranking\": [", "%", ", ", "]}"},
	{"objects", "[", "{\"id\": %, \"why\": \"it says so\"}", ", ", "]"},
	{"ranks of JSON", "[", "{\"rank\": #, \"passage\": \"Passage %\"}", ",\n", "]"},
	{"lines of JSON", "", "{\"passage_id\": \"[%]\"}", "\n", "\n"},
	{"tags", "<answer>\n", "[%]", " > ", "\n</answer>"},
	{"then", "I would say ", "Passage %", ", then ", "."},
}

// writeForm writes identifiers in a form.
func writeForm(k int, ids []int) string {
	f := forms[k%len(forms)]
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strings.NewReplacer("%", strconv.Itoa(id), "#", strconv.Itoa(i+1)).Replace(f.each)
	}
	return f.begin + strings.Join(parts, f.join) + f.end
}

// checkForm holds a ranking in some form, of all passages or the best of them, in
// the prompt's base or the other one, against what is read.
func checkForm(t *testing.T, rng *rand.Rand, k int) {
	n, first := 2+rng.IntN(29), rng.IntN(2)
	order := rng.Perm(n)
	base := first
	if rng.IntN(3) == 0 {
		base = 1 - first
	}
	ids := make([]int, n)
	for i, p := range order {
		ids[i] = p + base
	}
	text := writeForm(k, ids)
	got := Parse(text, n, first)
	require.Equal(t, order, got.Order, "%s: %q of %d from %d", forms[k].name, text, n, first)
	require.Equal(t, n, got.Found)
	require.Equal(t, base != first, got.Repairs.OtherBase == 1)
	require.Zero(t, got.Repairs.Missing+got.Repairs.Duplicate+got.Repairs.OutOfRange+got.Repairs.Revised)

	other := rng.IntN(len(forms))
	for i, p := range rng.Perm(n) {
		ids[i] = p + base
	}
	if before := writeForm(other, ids); !strings.Contains(forms[other].begin, "{") && !strings.Contains(forms[k].name, "remarks") {
		both := Parse(before+"\n\nOr rather:\n\n"+text, n, first)
		if both.Repairs.Refusal == 0 {
			require.Equal(t, order, both.Order, "the last counts: %q", before+text)
		}
	}
}

// Whatever the length and the base, every form is read.
func TestForms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for k := range forms {
		for range 10 {
			checkForm(t, rng, k)
		}
	}
}
