package shard

import "fmt"

// The variables that tell a task which of several it is.
const (
	slurmTask       = "SLURM_ARRAY_TASK_ID"
	slurmFirst      = "SLURM_ARRAY_TASK_MIN"
	slurmLast       = "SLURM_ARRAY_TASK_MAX"
	slurmStep       = "SLURM_ARRAY_TASK_STEP"
	kubernetesIndex = "JOB_COMPLETION_INDEX"
)

// fromEnvironment returns the index of the shard of this task, and the variables it
// was taken from.
func fromEnvironment(of int, getenv func(string) string) (index int, source string, err error) {
	slurm, kubernetes := getenv(slurmTask), getenv(kubernetesIndex)
	switch {
	case slurm != "" && kubernetes != "":
		return 0, "", fmt.Errorf("auto: want one of %s and %s, got both: give i/%d", slurmTask, kubernetesIndex, of)
	case slurm != "":
		return fromSlurm(of, getenv)
	case kubernetes == "":
		return 0, "", fmt.Errorf("auto: want %s (a Slurm array) or %s (a Kubernetes indexed job), got neither: give i/%d", slurmTask, kubernetesIndex, of)
	}
	if index, err = number(kubernetes); err != nil || index >= of {
		return 0, "", fmt.Errorf("auto: %s: want a number from 0 to %d, got %q", kubernetesIndex, of-1, kubernetes)
	}
	return index, kubernetesIndex + "=" + kubernetes, nil
}

// fromSlurm returns the place of a task in its array. SLURM_ARRAY_TASK_COUNT is not
// asked: where some tasks of an array are submitted again, it counts these alone.
func fromSlurm(of int, getenv func(string) string) (index int, source string, err error) {
	var values [3]int // of the task, the first and the last
	for i, name := range []string{slurmTask, slurmFirst, slurmLast} {
		text := getenv(name)
		if text == "" && name == slurmLast { // set by hand: Slurm sets all
			values[i] = values[1] + of - 1
			continue
		}
		if values[i], err = number(text); err != nil {
			return 0, "", fmt.Errorf("auto: %s: want a whole number, got %q", name, text)
		}
	}
	task, first, last := values[0], values[1], values[2]
	if step := getenv(slurmStep); step != "" && step != "1" {
		return 0, "", fmt.Errorf("auto: want an array without a step, got %s=%s: give --array=0-%d", slurmStep, step, of-1)
	}
	if err := checkArray(first, last, of); err != nil {
		return 0, "", err
	}
	if task < first || task > last {
		return 0, "", fmt.Errorf("auto: %s: want a number from %d to %d, got %d", slurmTask, first, last, task)
	}
	return task - first, fmt.Sprintf("%s=%d less %s=%d", slurmTask, task, slurmFirst, first), nil
}

// checkArray refuses an array of Slurm, of tasks first to last, of which nobody can
// tell whether it begins with the task of shard 0.
//
// One that goes over as many numbers as there are shards does, and one that begins
// with task 0. Where tasks 3 and 5 of 64 are submitted again, SLURM_ARRAY_TASK_MIN is
// 3, and they may be a part of 0-63 or of 1-64.
func checkArray(first, last, of int) error {
	switch tasks := last - first + 1; {
	case tasks > of:
		return fmt.Errorf("auto: want an array of %d tasks, got tasks %d to %d: give --array=0-%d", of, first, last, of-1)
	case tasks < of && first > 0:
		return fmt.Errorf("auto: want an array of %d tasks, or one that begins with task 0, got tasks %d to %d, of which shard 0's number cannot be told: "+
			"give i/%d, or number the array from 0 and submit task 0 again as well (a finished shard ends at once)", of, first, last, of)
	}
	return nil
}
