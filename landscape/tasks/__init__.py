"""A task: text columns, labels, training and in-domain data, and challenge sets cut in groups.

The built-in tasks are YAML files in this folder; a user's own task is one more such file.
"""

from landscape.tasks.examples import Examples, load_examples, sample_examples
from landscape.tasks.spec import BUILTIN_TASKS, DataSpec, Task, data_root, load_task

__all__ = [
    "BUILTIN_TASKS",
    "DataSpec",
    "Examples",
    "Task",
    "data_root",
    "load_examples",
    "load_task",
    "sample_examples",
]
