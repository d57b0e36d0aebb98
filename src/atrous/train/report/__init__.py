"""The report of a run: one page that opens from disk, without a network and without a script."""

from atrous.train.report.page import write_report as write_report
from atrous.train.report.ranking import ImageRanking as ImageRanking
