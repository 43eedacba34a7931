"""Scores JSON lines with ortscore on Spark, one process for each partition.

    spark-submit score.py [--partitions N] [--pandas] INPUT OUTPUT -- ortscore nll --onnx MODEL

INPUT and OUTPUT are what Spark reads and writes: folders, on a file system of all nodes.
"""

import argparse
import shlex
import subprocess
from itertools import islice
from threading import Thread


def piped(lines, command):
    """The rows of an RDD, scored in their order."""
    # Without checkCode=True, which is not Spark's default, the rows of a partition whose
    # process fails are missing, and the job succeeds.
    return lines.pipe(shlex.join(command), checkCode=True)


def in_pandas(command):
    """The function for DataFrame.mapInPandas over a column named value, of JSON lines."""

    def score(batches):
        import pandas

        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        failures = []

        # In a thread of its own: the process answers while it is still asked.
        def feed():
            try:
                with process.stdin as pipe:
                    for batch in batches:
                        pipe.writelines(f"{line}\n".encode() for line in batch["value"])
            except BrokenPipeError:
                pass  # its exit code says why
            except Exception as error:
                failures.append(error)
                process.kill()

        feeder = Thread(target=feed, daemon=True)
        feeder.start()
        try:
            while lines := [line.decode().rstrip("\n") for line in islice(process.stdout, 1024)]:
                yield pandas.DataFrame({"value": lines})
            code = process.wait()
            feeder.join()
        finally:
            process.kill()
        if failures:
            raise failures[0]
        if code:
            raise RuntimeError(f"ortscore: exit code {code}; the executor's stderr has its words")

    return score


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--partitions", type=int, help="processes that are started in all")
    parser.add_argument("--pandas", action="store_true", help="by mapInPandas and not by pipe")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    command = [*args.command, "--quiet", "--in", "-", "--out", "-"]

    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("ortscore").getOrCreate()
    rows = spark.read.text(args.input)
    if args.partitions:
        rows = rows.coalesce(args.partitions)  # repartition would shuffle the rows
    if args.pandas:
        rows.mapInPandas(in_pandas(command), "value string").write.text(args.output)
    else:
        piped(rows.rdd.map(lambda row: row.value), command).saveAsTextFile(args.output)


if __name__ == "__main__":
    main()
