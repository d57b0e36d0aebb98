"""The data doctor: what is wrong with a data set folder, and the cure for each thing.

One file for each subject: what is read (`survey`), what mask values mean (`meaning`), and what is
found about `files`, `masks`, `splits`, `frequencies` and `rates`.
"""

from atrous.data.doctor.check import Plan as Plan
from atrous.data.doctor.check import Report as Report
from atrous.data.doctor.check import check_before_training as check_before_training
from atrous.data.doctor.check import check_folder as check_folder
from atrous.data.doctor.findings import Finding as Finding
from atrous.data.doctor.findings import Place as Place
from atrous.data.doctor.samples import check_samples as check_samples
