"""A job's clock, in the many ways in which programs write the time."""

from __future__ import annotations

import datetime as dt


class Clock:
    """The time of the job; each ``tick`` moves it on."""

    def __init__(self, begin: str = "2026-03-02 10:00:00") -> None:
        self.now = dt.datetime.fromisoformat(begin)

    def tick(self, seconds: float) -> Clock:
        self.now += dt.timedelta(seconds=seconds)
        return self

    @property
    def iso(self) -> str:
        """2026-03-02 10:00:00"""
        return self.now.strftime("%Y-%m-%d %H:%M:%S")

    @property
    def millis(self) -> str:
        """2026-03-02 10:00:00,123"""
        return f"{self.iso},{self.now.microsecond // 1000:03}"

    @property
    def micros(self) -> str:
        """2026-03-02 10:00:00.123456"""
        return f"{self.iso}.{self.now.microsecond:06}"

    @property
    def zulu(self) -> str:
        """2026-03-02T10:00:00.123Z"""
        return self.now.strftime("%Y-%m-%dT%H:%M:%S") + f".{self.now.microsecond // 1000:03}Z"

    @property
    def glog(self) -> str:
        """0302 10:00:00.123456, as absl and glog write after the level's letter"""
        return self.now.strftime("%m%d %H:%M:%S") + f".{self.now.microsecond:06}"

    @property
    def c10d(self) -> str:
        """302 10:00:00.123456789, as c10d writes after the level's letter"""
        return f"{self.now.month}{self.now.day:02} {self.now:%H:%M:%S}.{self.now.microsecond:06}789"

    @property
    def plog(self) -> str:
        """2026-03-02-10:00:00.123.456, as Ascend's CANN writes"""
        us = self.now.microsecond
        return self.now.strftime("%Y-%m-%d-%H:%M:%S") + f".{us // 1000:03}.{us % 1000:03}"
