"""Models come, change and go while the server runs; each by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from eas_processor.codec import serving
from eas_processor.errors import Code, ConfigError, ServingError
from eas_processor.modelserver.configs import ModelConfig, VersionPolicy
from eas_processor.modelserver.manager import ModelManager

from .fakes import Stage, ask, make_version, manager_of, states, until

QUICK = ("--load_retry_interval_micros=1000", "--max_num_load_retries=1")


@contextlib.asynccontextmanager
async def running(manager: ModelManager) -> AsyncIterator[ModelManager]:
    try:
        yield manager
    finally:
        await manager.stop()


def single(stage: Stage, folder: Path, *arguments: str) -> ModelManager:
    return manager_of(stage, "--model_name=m", f"--model_base_path={folder}", *QUICK, *arguments)


def config(name: str, folder: Path, **more: object) -> ModelConfig:
    return ModelConfig(name=name, base_path=str(folder), **more)  # type: ignore[arg-type]


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scene(), 60)

    asyncio.run(bounded())


def refusal_of(error: pytest.ExceptionInfo[ServingError]) -> tuple[Code, str]:
    return Code(error.value.code), error.value.message


def test_the_highest_version_serves_and_a_higher_one_takes_over(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path, 1)
        make_version(tmp_path, 2)
        async with running(single(Stage(), tmp_path)) as manager:
            await manager.start()
            assert manager.ready and manager.why() == {"m": ""}
            assert states(manager, "m") == {2: "AVAILABLE"}
            assert await ask(manager, "m") == b"hello"
            make_version(tmp_path, 10)
            await until(lambda: states(manager, "m") == {10: "AVAILABLE", 2: "END"})
            assert manager.services["m"].find().number == 10
            with pytest.raises(ServingError) as error:
                manager.services["m"].find(2)
            assert refusal_of(error) == (
                Code.NOT_FOUND,
                "Servable not found for request: Specific(m, 2)",
            )

    play(scene)


def test_the_old_version_answers_until_the_new_one_is_there(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage()
        make_version(tmp_path, 1)
        async with running(single(stage, tmp_path)) as manager:
            await manager.start()
            stage.hold("m", 2)
            make_version(tmp_path, 2)
            await until(lambda: states(manager, "m").get(2) == "LOADING")
            assert manager.services["m"].find().number == 1 and manager.ready
            stage.release("m", 2)
            await until(lambda: states(manager, "m") == {2: "AVAILABLE", 1: "END"})
            assert await ask(manager, "m") == b"hello"

    play(scene)


def test_a_new_version_that_does_not_load_leaves_the_old_one_and_says_why(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage()
        make_version(tmp_path, 1)
        async with running(single(stage, tmp_path)) as manager:
            await manager.start()
            make_version(tmp_path, 2, broken=True)
            await until(lambda: states(manager, "m") == {1: "AVAILABLE", 2: "END"})
            newest = manager.status("m")[0]
            assert (newest.code, newest.message) == (Code.FAILED_PRECONDITION, "m/2 is broken")
            assert stage.loads.count("m/2") == 2, "one try, one retry"
            assert await ask(manager, "m") == b"hello"
            (tmp_path / "2" / "broken").unlink()  # whoever copied it has finished
            await until(lambda: states(manager, "m") == {1: "END", 2: "AVAILABLE"})

    play(scene)


def test_while_it_starts_who_asks_for_what_is_not_there_is_to_come_back(tmp_path: Path) -> None:
    """As where a port is not open yet; probes for a missing model wait for its NOT_FOUND."""

    async def scene() -> None:
        stage = Stage()
        for name in ("quick", "slow"):
            make_version(tmp_path / name, 1)
        file = tmp_path / "models.config"
        file.write_text(config_text(tmp_path, "quick", "slow", "missing"))
        manager = manager_of(stage, f"--model_config_file={file}", *QUICK)
        async with running(manager):
            stage.hold("slow", 1)
            start = asyncio.create_task(manager.start())
            await until(lambda: "quick" in manager.services and manager.services["quick"].ready)
            assert await ask(manager, "quick") == b"hello"
            services = manager.services

            def said() -> list[tuple[int, str]]:
                errors = [services.missing("nobody", None, None)]
                for find in (
                    lambda: services["slow"].find(),
                    lambda: services["quick"].find(7),
                    lambda: services["quick"].find(label="next"),
                ):
                    with pytest.raises(ServingError) as caught:
                        find()
                    errors.append(caught.value)
                return [(error.code, error.message.split()[0]) for error in errors]

            assert said() == [(Code.UNAVAILABLE, "the")] * 4
            stage.release("slow", 1)
            await start
            assert services["slow"].find().number == 1
            stage.hold("late", 1)
            make_version(tmp_path / "late", 1)
            late = asyncio.create_task(manager.add(config("late", tmp_path / "late")))
            await until(lambda: "late/1" in stage.loads)
            with pytest.raises(ServingError, match=r"Servable not found for request: Latest\(late"):
                services["late"].find()
            with pytest.raises(ServingError, match=r"Specific\(quick, 7\)"):
                services["quick"].find(7)
            assert services.missing("nobody", None, None).code == Code.NOT_FOUND
            stage.release("late", 1)
            await late

    play(scene)


def test_one_bad_and_one_missing_model_do_not_keep_the_third(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "good", 1)
        make_version(tmp_path / "bad", 1, broken=True)
        file = tmp_path / "models.config"
        file.write_text(config_text(tmp_path, "bad", "missing", "good"))
        manager = manager_of(Stage(), f"--model_config_file={file}", *QUICK)
        async with running(manager):
            await manager.start()
            assert await ask(manager, "good") == b"hello"
            assert not manager.ready
            why = manager.why()
            assert why["good"] == ""
            assert why["bad"] == "version 1: bad/1 is broken"
            assert why["missing"].startswith("Could not find base path")
            with pytest.raises(ServingError, match="Could not find any versions of model missing"):
                manager.status("missing")
            make_version(tmp_path / "missing", 4)  # it comes later
            await until(lambda: manager.why()["missing"] == "")
            assert await ask(manager, "missing", 4) == b"hello"

    play(scene)


def config_text(folder: Path, *names: str, more: str = "") -> str:
    models = "".join(
        f"config {{ name: '{name}' base_path: '{folder / name}' model_platform: 'tensorflow' "
        f"{more} }}\n"
        for name in names
    )
    return f"model_config_list {{\n{models}}}\n"


def test_all_versions_go_when_none_is_left_and_none_when_the_folder_is_away(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        base = tmp_path / "m"
        make_version(base, 1)
        async with running(single(Stage(), base)) as manager:
            await manager.start()
            away = base.rename(tmp_path / "away")
            await until(lambda: manager._models["m"].seen.missing)
            assert states(manager, "m") == {1: "AVAILABLE"}
            away.rename(base)
            (base / "1").rmdir()
            await until(lambda: states(manager, "m") == {1: "END"})
            assert not manager.ready
            assert "No versions of servable m found" in manager.why()["m"]
            make_version(base, 1)  # gone and back: loaded again
            await until(lambda: states(manager, "m") == {1: "AVAILABLE"})

    play(scene)


def test_a_reload_serves_what_it_lists_and_nothing_else(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "a", 1)
        make_version(tmp_path / "b", 1)
        stage = Stage()
        async with running(single(stage, tmp_path / "a")) as manager:
            await manager.start()
            await manager.apply({"b": config("b", tmp_path / "b")})
            assert list(manager.services) == ["b"]
            assert await ask(manager, "b") == b"hello"
            await until(lambda: states(manager, "m") == {1: "END"})  # stays listed
            await manager.apply({})
            assert manager.services == {} and manager.ready

    play(scene)


@pytest.mark.parametrize("text", ["", "custom_model_config {}"])
def test_a_reload_takes_nothing_but_a_list_of_models(tmp_path: Path, text: str) -> None:
    async def scene() -> None:
        make_version(tmp_path, 1)
        async with running(single(Stage(), tmp_path)) as manager:
            await manager.start()
            with pytest.raises(ConfigError, match="Only ModelConfigList is currently supported"):
                await manager.apply_proto(serving.text("ModelServerConfig", text))
            assert await ask(manager, "m") == b"hello"
            await manager.apply_proto(serving.text("ModelServerConfig", "model_config_list {}"))
            assert manager.services == {}

    play(scene)


def test_a_reload_tells_what_did_not_come_and_serves_the_rest(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "good", 1)
        make_version(tmp_path / "bad", 1, broken=True)
        async with running(single(Stage(), tmp_path / "good")) as manager:
            await manager.start()
            wanted = {name: config(name, tmp_path / name) for name in ("good", "bad", "gone")}
            with pytest.raises(ServingError) as error:
                await manager.apply(wanted)
            code, message = refusal_of(error)
            assert code == Code.UNKNOWN
            assert message.startswith("2 servable(s) did not become available: {{name: bad}")
            assert "bad/1 is broken" in message and "Could not find base path" in message
            assert await ask(manager, "good") == b"hello"
            # The next reload is not held up by what is still missing.
            await manager.apply({"good": wanted["good"]})
            assert list(manager.services) == ["good"]

    play(scene)


def test_a_reload_does_not_wait_for_a_slow_model_of_an_earlier_one(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "slow", 1)
        make_version(tmp_path / "quick", 1)
        stage = Stage()
        stage.hold("slow", 1)
        async with running(single(stage, tmp_path / "none")) as manager:
            slow, quick = config("slow", tmp_path / "slow"), config("quick", tmp_path / "quick")
            first = asyncio.create_task(manager.apply({"slow": slow}))
            await until(lambda: stage.loads == ["slow/1"])
            await manager.apply({"slow": slow, "quick": quick})
            assert await ask(manager, "quick") == b"hello" and not first.done()
            stage.release("slow", 1)
            await first

    play(scene)


def test_a_model_taken_out_while_it_loads_ends_the_wait_for_it(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "slow", 1)
        stage = Stage()
        stage.hold("slow", 1)
        async with running(single(stage, tmp_path / "none")) as manager:
            first = asyncio.create_task(manager.add(config("slow", tmp_path / "slow")))
            await until(lambda: stage.loads == ["slow/1"])
            await manager.remove("slow")
            with pytest.raises(ServingError, match="taken out of the configuration"):
                await first
            await until(lambda: states(manager, "slow") == {1: "END"})
            stage.release("slow", 1)

    play(scene)


def test_the_policy_may_change_in_service(tmp_path: Path) -> None:
    async def scene() -> None:
        for number in (1, 2, 3):
            make_version(tmp_path, number)
        async with running(single(Stage(), tmp_path)) as manager:
            await manager.start()
            await manager.apply({"m": config("m", tmp_path, policy=VersionPolicy(kind="all"))})
            all_three = {1: "AVAILABLE", 2: "AVAILABLE", 3: "AVAILABLE"}
            await until(lambda: states(manager, "m") == all_three)
            assert manager.services["m"].find().number == 3
            only = VersionPolicy(kind="specific", versions=(1, 9))
            await manager.apply({"m": config("m", tmp_path, policy=only)})
            await until(lambda: states(manager, "m") == {1: "AVAILABLE", 2: "END", 3: "END"})
            assert manager.services["m"].find().number == 1
            with pytest.raises(ConfigError, match="Illegal to change a model's platform"):
                await manager.apply({"m": config("m", tmp_path, platform="echo")})
            with pytest.raises(ConfigError, match="neither 'tensorflow' nor a processor"):
                await manager.apply({"n": config("n", tmp_path, platform="caffe")})
            assert list(manager.services) == ["m"], "a refused configuration changes nothing"

    play(scene)


def test_a_label_may_name_only_a_version_that_is_available(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path, 1)
        async with running(single(Stage(), tmp_path)) as manager:
            await manager.start()
            await manager.apply({"m": config("m", tmp_path, labels={"stable": 1})})
            assert manager.services["m"].find(label="stable").number == 1
            with pytest.raises(ServingError) as error:
                await manager.apply({"m": config("m", tmp_path, labels={"stable": 2})})
            assert refusal_of(error) == (
                Code.FAILED_PRECONDITION,
                "Request to assign label to version 2 of model m, which is not currently "
                "available for inference",
            )
            assert manager.services["m"].find(label="stable").number == 1
            with pytest.raises(ServingError, match="Unrecognized servable version label: canary"):
                manager.services["m"].find(label="canary")
            make_version(tmp_path, 2)
            await until(lambda: states(manager, "m").get(2) == "AVAILABLE")
            assert manager.services["m"].labels == {"stable": 1}, "what was refused does not come"
            await manager.apply({"m": config("m", tmp_path, labels={"stable": 2})})
            assert manager.services["m"].labels == {"stable": 2}

    play(scene)


def test_one_label_that_is_refused_refuses_all_that_was_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        for version in (1, 2):
            make_version(tmp_path / "m", version)
        make_version(tmp_path / "n", 1)
        every = VersionPolicy(kind="all")
        async with running(single(Stage(), tmp_path / "m")) as manager:
            await manager.start()
            both = {"stable": 1, "canary": 2}
            await manager.apply({"m": config("m", tmp_path / "m", policy=every)})
            await until(lambda: states(manager, "m") == {1: "AVAILABLE", 2: "AVAILABLE"})
            await manager.apply({"m": config("m", tmp_path / "m", policy=every, labels=both)})
            wrong = {"stable": 2, "next": 777}
            with pytest.raises(ServingError, match="assign label to version 777 of model m"):
                await manager.apply(
                    {
                        "m": config("m", tmp_path / "m", labels=wrong),
                        "n": config("n", tmp_path / "n"),
                    }
                )
            assert manager.services["m"].labels == both
            assert list(manager.services) == ["m"]
            assert manager.configs["m"].labels == both and manager.configs["m"].policy == every

    play(scene)


def test_labels_of_a_config_file_wait_together_for_the_last_one(tmp_path: Path) -> None:
    async def scene() -> None:
        for version in (1, 2):
            make_version(tmp_path / "m", version)
        file = tmp_path / "models.config"

        def labelled(**labels: int) -> None:
            every = "model_version_policy { all {} } "
            told = (f"version_labels {{ key: '{k}' value: {v} }}" for k, v in labels.items())
            file.write_text(config_text(tmp_path, "m", more=every + " ".join(told)))

        labelled(stable=1, canary=2)
        poll = "--model_config_file_poll_wait_seconds=1"
        async with running(manager_of(Stage(), f"--model_config_file={file}", poll)) as manager:
            await manager.start()
            await until(lambda: manager.services["m"].labels == {"stable": 1, "canary": 2})
            labelled(stable=2, next=3)
            await until(lambda: manager.configs["m"].labels == {"stable": 2, "next": 3})
            assert manager.services["m"].labels == {"stable": 1, "canary": 2}
            make_version(tmp_path / "m", 3)
            await until(lambda: manager.services["m"].labels == {"stable": 2, "next": 3})

    play(scene)


def test_labels_of_a_config_file_hold_from_the_start(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "m", 3)
        file = tmp_path / "models.config"
        file.write_text(
            config_text(tmp_path, "m", more="version_labels { key: 'stable' value: 3 }")
        )
        strict = manager_of(Stage(), f"--model_config_file={file}", "--strict_startup")
        async with running(strict) as manager:
            await manager.start()
            assert manager.services["m"].find(label="stable").number == 3
        file.write_text(
            config_text(tmp_path, "m", more="version_labels { key: 'stable' value: 4 }")
        )
        strict = manager_of(Stage(), f"--model_config_file={file}", "--strict_startup")
        async with running(strict) as manager:
            with pytest.raises(ServingError, match="assign label to version 4 of model m"):
                await manager.start()
        allowed = "--allow_version_labels_for_unavailable_models"
        async with running(
            manager_of(Stage(), f"--model_config_file={file}", "--strict_startup", allowed)
        ) as manager:
            await manager.start()
            with pytest.raises(ServingError, match=r"Specific\(m, 4\)"):
                manager.services["m"].find(label="stable")

    play(scene)


def test_a_strict_start_waits_for_a_folder_and_fails_with_a_model(tmp_path: Path) -> None:
    async def scene() -> None:
        base = tmp_path / "later"
        async with running(single(Stage(), base, "--strict_startup")) as manager:
            start = asyncio.create_task(manager.start())
            await until(lambda: manager.why().get("m", "").startswith("Could not find base path"))
            assert not start.done()
            make_version(base, 1)
            await start
            assert manager.ready
        make_version(base, 2, broken=True)
        async with running(single(Stage(), base, "--strict_startup")) as manager:
            with pytest.raises(ServingError, match=r"1 servable\(s\) did not become available"):
                await manager.start()

    play(scene)


def test_the_config_file_is_followed_and_a_mistake_in_it_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "a", 1)
        make_version(tmp_path / "b", 1)
        file = tmp_path / "models.config"
        file.write_text(config_text(tmp_path, "a"))
        arguments = (f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
        async with running(manager_of(Stage(), *arguments, *QUICK)) as manager:
            await manager.start()
            assert await manager.reload() == {str(file): ""}
            file.write_text("model_config_list { confg {} }")
            (outcome,) = (await manager.reload()).values()
            assert "Error parsing text-format" in outcome
            assert await ask(manager, "a") == b"hello"
            file.write_text(config_text(tmp_path, "b"))
            await until(lambda: list(manager.services) == ["b"] and manager.ready)
            assert await ask(manager, "b") == b"hello"

    play(scene)


@pytest.mark.parametrize("empty", ["", " \n\t\n", "# nothing yet\n"])
def test_an_empty_config_file_takes_nothing_away_once_models_are_served(
    tmp_path: Path, empty: str
) -> None:
    async def scene() -> None:
        make_version(tmp_path / "a", 1)
        file = tmp_path / "models.config"
        file.write_text(empty)
        arguments = (f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
        async with running(manager_of(Stage(), *arguments, *QUICK)) as manager:
            await manager.start()
            assert manager.services == {} and manager.ready
            assert await manager.reload() == {str(file): ""}  # nothing that it could take away
            file.write_text(config_text(tmp_path, "a"))
            await until(lambda: list(manager.services) == ["a"] and manager.ready)
            file.write_text(empty)
            await until(lambda: manager._source._text == empty)  # the poll has seen it
            (outcome,) = (await manager.reload()).values()
            assert "says nothing" in outcome and "model_config_list {}" in outcome
            assert await ask(manager, "a") == b"hello"
            file.write_text("model_config_list {}")
            await until(lambda: not manager.services)

    play(scene)


def test_models_added_at_run_time_are_kept_where_the_file_is_ours(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path / "a", 1)
        file = tmp_path / "models.config"
        arguments = (f"--model_config_file={file}", "--persist_model_config", *QUICK)
        async with running(manager_of(Stage(), *arguments)) as manager:
            await manager.start()
            assert manager.services == {}
            added = config("a", tmp_path / "a", labels={"stable": 1})
            await manager.add(added)
            with pytest.raises(ServingError, match="there is a model a already"):
                await manager.add(added)
            with pytest.raises(ServingError, match="there is no model x"):
                await manager.remove("x")
        async with running(manager_of(Stage(), *arguments)) as manager:
            await manager.start()
            assert manager.configs == {"a": added}
            assert manager.services["a"].find(label="stable").number == 1
            (report,) = manager.listing()
            assert report.ready and report.processor == "echo" and report.why == ""
            await manager.remove("a")
        assert "'a'" not in file.read_text() and '"a"' not in file.read_text()

    play(scene)


def test_status_is_of_one_version_or_of_all_newest_first(tmp_path: Path) -> None:
    async def scene() -> None:
        for number in (1, 2):
            make_version(tmp_path, number)
        async with running(single(Stage(), tmp_path)) as manager:
            await manager.start()
            await manager.apply({"m": config("m", tmp_path, policy=VersionPolicy(kind="all"))})
            both = {1: "AVAILABLE", 2: "AVAILABLE"}
            await until(lambda: states(manager, "m") == both)
            assert [row.version for row in manager.status("m")] == [2, 1]
            assert [row.version for row in manager.status("m", version=1)] == [1]
            with pytest.raises(ServingError, match="Could not find version 7 of model m"):
                manager.status("m", version=7)
            with pytest.raises(ServingError, match="Could not find any versions of model x"):
                manager.status("x")

    play(scene)


def test_with_a_negative_poll_time_nothing_is_looked_for(tmp_path: Path) -> None:
    async def scene() -> None:
        make_version(tmp_path, 1)
        never = single(Stage(), tmp_path, "--file_system_poll_wait_seconds=-1")
        async with running(never) as manager:
            await manager.start()
            assert "never looked for" in manager.why()["m"]

    play(scene)


def test_with_a_poll_time_of_zero_it_is_looked_for_once_and_at_each_reload(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        make_version(tmp_path, 1)
        once = single(Stage(), tmp_path, "--file_system_poll_wait_seconds=0")
        async with running(once) as manager:
            await manager.start()
            make_version(tmp_path, 2)
            await manager.reload()
            await until(lambda: states(manager, "m") == {1: "END", 2: "AVAILABLE"})

    play(scene)
