"""Faults: a run is killed, hindered and damaged, and must end as an uninterrupted one."""
