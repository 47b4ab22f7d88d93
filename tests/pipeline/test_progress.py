from posegen.pipeline.progress import Bar, Lines, Progress, choose_display, duration, in_front_end


def test_a_line_says_how_far_how_fast_and_what_failed() -> None:
    line = Progress(planned=10, made=3, kept=2, failed=1, elapsed_s=8, latest="yoga_tree 0.5 s").line()
    assert line == "6/10 images, 1 failed, 2 from before, 0.50/s, about 8.0 s left | yoga_tree 0.5 s"


def test_before_the_first_image_no_rate_is_made_up() -> None:
    progress = Progress(planned=10, elapsed_s=5)
    assert (progress.images_per_s, progress.left_s) == (0.0, None)
    assert progress.line() == "0/10 images"


def lines_for(counts: list[int], planned: int, seconds_between: float) -> list[str]:
    now = [0.0]
    written: list[str] = []
    lines = Lines(written.append, clock=lambda: now[0])
    for count in counts:
        now[0] += seconds_between
        lines.update(Progress(planned=planned, made=count))
    lines.close(Progress(planned=planned, made=counts[-1]))
    return written


def test_a_quick_run_gets_a_line_at_each_tenth() -> None:
    assert len(lines_for(list(range(101)), planned=100, seconds_between=0.01)) == 11


def test_a_slow_run_gets_a_line_for_each_image() -> None:
    assert len(lines_for([0, 1, 1, 2, 2, 3], planned=100, seconds_between=6)) == 3


def test_no_news_gives_no_line() -> None:
    assert lines_for([0, 0, 0], planned=5, seconds_between=9) == ["0/5 images"]


def test_a_failure_is_news() -> None:
    written: list[str] = []
    lines = Lines(written.append, clock=lambda: 0.0)
    lines.update(Progress(planned=100, made=1))
    lines.update(Progress(planned=100, made=1, failed=1))
    assert len(written) == 2


def test_outside_a_front_end_lines_are_chosen() -> None:
    assert not in_front_end()
    assert isinstance(choose_display(3), Lines)
    assert isinstance(choose_display(3, "bar"), Bar)


def test_durations_are_words() -> None:
    assert [duration(s) for s in (0.04, 9.96, 59.6, 3599.7)] == ["0.0 s", "10.0 s", "60 s", "1 h 0 min"]
