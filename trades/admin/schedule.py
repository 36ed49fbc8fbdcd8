"""Celery beat's tables, shown like the rest of the admin: what runs when, on or off."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.admin import CrontabScheduleAdmin as BeatCrontabAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BeatTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from kombu.exceptions import OperationalError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin import shown
from accounts.admin.base import ByDeed
from accounts.admin.once import WrittenOnce

for registered in (PeriodicTask, CrontabSchedule, IntervalSchedule, ClockedSchedule, SolarSchedule):
    admin.site.unregister(registered)
for tokens in (OutstandingToken, BlacklistedToken, TOTPDevice, StaticDevice):  # they show secrets: nobody's business
    admin.site.unregister(tokens)


class TaskWidget(UnfoldAdminSelectWidget, TaskSelectWidget):
    """The registered tasks to choose from."""


class TaskForm(PeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(WrittenOnce, ByDeed, BeatTaskAdmin, ModelAdmin):
    deed = "change_schedule"
    form = TaskForm
    change_form_template = None
    date_hierarchy = None
    list_fullwidth = True
    list_display = ("name", "task", "enabled", "scheduler", "last_run", "total_run_count")
    list_filter = ("enabled",)
    ordering = ("name",)
    actions = ("enable_tasks", "disable_tasks", "run_tasks")
    fieldsets = (
        (None, {"fields": ("name", "regtask", "task", "enabled", "description")}),
        ("Schedule", {"fields": ("interval", "crontab", "one_off", "last_run")}),
        ("Arguments", {"fields": ("args", "kwargs")}),
    )
    readonly_fields = ("last_run",)

    @admin.display(description="Last run")
    def last_run(self, task: PeriodicTask) -> str:
        return shown.timestamp(task.last_run_at)

    @admin.action(description="Enable selected tasks", permissions=("change",))
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().enable_tasks(request, queryset)

    @admin.action(description="Disable selected tasks", permissions=("change",))
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().disable_tasks(request, queryset)

    @admin.action(description="Run selected tasks once, now", permissions=("change",))
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        try:
            super().run_tasks(request, queryset)
        except OperationalError:
            messages.error(request, "The workers can't be reached; nothing was started.")


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(WrittenOnce, ByDeed, BeatCrontabAdmin, ModelAdmin):
    deed = "change_schedule"
    inlines = ()
    list_fullwidth = True


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(WrittenOnce, ByDeed, ModelAdmin):
    deed = "change_schedule"
    list_fullwidth = True
