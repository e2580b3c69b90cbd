using DistributedPatterns.FanOutFanIn.Engine;
using DistributedPatterns.FanOutFanIn.Protocol;
using DistributedPatterns.Members;
using DistributedPatterns.Payloads;
using Google.Protobuf;
using Grpc.Core;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>One gathering's stream to one worker: sends it slices, takes its answers, gives back what it did not answer.</summary>
internal sealed class MemberLink<TIn, TOut>(
    ScatterRun<TIn, TOut> run, Member member, FanOutWorker.FanOutWorkerClient client, int maxAttempts)
{
    /// <summary>How much work waits at the worker for each of its loops: what it does while an answer and the next message travel.</summary>
    /// <remarks>Processes that share cores wait for each other's time slices. An item longer than this could run elsewhere, so none waits.</remarks>
    private static readonly TimeSpan s_ahead = TimeSpan.FromMilliseconds(6);
    private const int MostAhead = 8;

    /// <summary>How much work goes in one message, and how many items at most.</summary>
    private static readonly TimeSpan s_messageTarget = TimeSpan.FromMilliseconds(1);
    private const int MostItems = 1_024;

    /// <summary>How long a worker has to close a stream on which it owes nothing.</summary>
    private static readonly TimeSpan s_closing = TimeSpan.FromMilliseconds(250);

    /// <summary>The worker's deadline is for a caller that can no longer cancel: a caller that lives should say itself what happened.</summary>
    private static readonly TimeSpan s_afterDeadline = TimeSpan.FromMilliseconds(100);

    private readonly SlicePace _pace = new(s_messageTarget, MostItems);
    private readonly SentItems<TIn, TOut> _sent = new();
    private readonly Lock _answering = new(); // answers come from the worker, and refusals from here
    private readonly SemaphoreSlim _writing = new(1, 1); // a stream takes one write at a time
    private AsyncDuplexStreamingCall<ToWorker, Answers>? _call;
    private int _share;
    private bool _isDone;
    private bool _isStalled;

    /// <summary>Gets how many items the worker may run for this gathering at the same time.</summary>
    public int Share => Volatile.Read(ref _share);

    /// <summary>Gets why the stream broke, or <see langword="null"/> when it ended as it should.</summary>
    public RpcException? Error { get; private set; }

    /// <summary>Tells that everything is answered, to a link without a share too.</summary>
    public void Finish()
    {
        Volatile.Write(ref _isDone, true);
        _sent.Wake();
    }

    /// <summary>Changes the share, also while it runs.</summary>
    public async Task SetShareAsync(int share)
    {
        var isTold = share > Share && await TellAsync(share).ConfigureAwait(false); // before the items for which it makes room
        if (Interlocked.Exchange(ref _share, share) == share) return;
        _sent.Wake();
        if (!isTold && share > 0) await TellAsync(share).ConfigureAwait(false);
    }

    private async Task<bool> TellAsync(int share)
    {
        if (Volatile.Read(ref _call) is not { } call) return false;
        try
        {
            await WriteAsync(call, new ToWorker { Degree = share }, run.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (IsBroken(error))
        {
            // The stream is at its end, and its other side sees to that.
        }
        return true;
    }

    /// <summary>Runs until there is nothing left to do or the worker is lost; throws neither way.</summary>
    public async Task RunAsync()
    {
        // A frozen worker keeps its connection open: only its membership tells.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(run.Token, member.Left);
        var deadline = run.Remaining is { } left ? run.Time.GetUtcNow().UtcDateTime + left + s_afterDeadline : (DateTime?)null;
        using var call = client.Run(new CallOptions(deadline: deadline, cancellationToken: stop.Token));
        var reading = ReadAsync(call, stop);
        try
        {
            var share = Math.Max(1, Share);
            var header = new Header { Branch = run.Branch.Name, Degree = share, ItemLimitTicks = run.Options.ItemLimit?.Ticks ?? 0 };
            await WriteAsync(call, new ToWorker { Header = header }, stop.Token).ConfigureAwait(false);
            await TellWhatChangedAsync(call, share, stop.Token).ConfigureAwait(false);
            await SendAsync(call, stop.Token).ConfigureAwait(false);
            await call.RequestStream.CompleteAsync().ConfigureAwait(false);
            await reading.WaitAsync(s_closing, run.Time).ConfigureAwait(false);
        }
        catch (Exception error) when (IsBroken(error))
        {
            // The stream broke. The answers' side knows why; whatever it is, what was not answered goes back below.
        }
        await stop.CancelAsync().ConfigureAwait(false);
        await reading.ConfigureAwait(false);
        if (run.Ending is not null) return;
        foreach (var batch in _sent.Batches) GiveBack(batch);
    }

    private async Task SendAsync(AsyncDuplexStreamingCall<ToWorker, Answers> call, CancellationToken cancellationToken)
    {
        while (true)
        {
            // A slow worker must not hoard what others could do.
            await _sent.WaitForFewerAsync(Window, cancellationToken).ConfigureAwait(false);
            if (await run.Line.TakeBatchAsync(_pace.Next, cancellationToken).ConfigureAwait(false) is not { } batch) return;
            _sent.Open(batch);
            foreach (var (first, count) in batch.Ranges)
            {
                var offset = first;
                foreach (var (partCount, payload) in PayloadParts.Encode(batch.Slice.Inputs(first, count), run.Branch.Inputs))
                {
                    if (payload.Length > PayloadParts.MostBytes)
                    {
                        var reason = $"It takes {payload.Length:N0} bytes; a message holds {PayloadParts.MostBytes:N0}.";
                        Refuse(batch, offset, new BranchException(run.Branch.Name, batch.Slice.First + offset, member.Id, reason));
                    }
                    else
                    {
                        _sent.Add(batch, offset, partCount);
                        var items = new Items { Count = partCount, Payload = UnsafeByteOperations.UnsafeWrap(payload) };
                        await WriteAsync(call, new ToWorker { Items = items }, cancellationToken).ConfigureAwait(false);
                    }
                    offset += partCount;
                }
            }
        }
    }

    private int Window() =>
        Volatile.Read(ref _isDone) ? int.MaxValue
        : Volatile.Read(ref _isStalled) ? (_sent.Left < Share ? int.MaxValue : 0) // nothing while each of its loops has a slow item; one without may have had no thread
        : Share * (1 + Ahead);

    private int Ahead => _pace.Takes > TimeSpan.Zero ? (int)Math.Min(s_ahead / _pace.Takes, MostAhead) : 0;

    // In one turn with the publication of the stream: a share set from then on is told after this one.
    private async Task TellWhatChangedAsync(AsyncDuplexStreamingCall<ToWorker, Answers> call, int told, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            Interlocked.Exchange(ref _call, call);
            if (Share is > 0 and var share && share != told) await call.RequestStream.WriteAsync(new ToWorker { Degree = share }, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task WriteAsync(AsyncDuplexStreamingCall<ToWorker, Answers> call, ToWorker message, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await call.RequestStream.WriteAsync(message, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReadAsync(AsyncDuplexStreamingCall<ToWorker, Answers> call, CancellationTokenSource stop)
    {
        try
        {
            while (await call.ResponseStream.MoveNext(stop.Token).ConfigureAwait(false)) Take(call.ResponseStream.Current);
        }
        catch (RpcException error)
        {
            Error = error;
        }
        catch (OperationCanceledException)
        {
            // The gathering is over, or the worker left.
        }
        catch (FormatException error)
        {
            Error = new RpcException(new Status(StatusCode.FailedPrecondition, error.Message, error));
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false); // the other side may be waiting for work to send
        }
    }

    private void Take(Answers answers)
    {
        var now = run.Time.GetTimestamp();
        var (numbers, ticks, values) = (new long[answers.Count], new long[answers.Count], new TOut[answers.Count]);
        PayloadCodec.Packed<long>().Decode(answers.Numbers.Span, numbers);
        PayloadCodec.Packed<long>().Decode(answers.RunTicks.Span, ticks);
        run.Branch.Outputs.Decode(answers.Payload.Span, values);
        _pace.Observe(numbers.Length, new TimeSpan(ticks.Sum()));
        lock (_answering)
        {
            for (var i = 0; i < numbers.Length; i++)
            {
                var sent = _sent.Find(numbers[i]);
                Answer(sent.Batch, sent.OffsetOf(numbers[i]), values[i], null, new TimeSpan(ticks[i]), now);
            }
            foreach (var failure in answers.Failures)
            {
                var sent = _sent.Find(failure.Number);
                var offset = sent.OffsetOf(failure.Number);
                Answer(sent.Batch, offset, default!, ErrorOf(failure, sent.Batch.Slice.First + offset), new TimeSpan(failure.RunTicks), now);
            }
            foreach (var passed in answers.PassedOn) PassOn(passed.First, passed.Count);
        }
        Volatile.Write(ref _isStalled, answers.PassedOn.Count > 0);
        _sent.Wake();
        run.Line.Announce();
    }

    private void PassOn(long number, long count)
    {
        while (count > 0)
        {
            var sent = _sent.Find(number);
            var part = (int)Math.Min(count, sent.Number + sent.Count - number);
            run.Line.Return(sent.Batch.PassOn(sent.OffsetOf(number), part));
            if (sent.Batch.Left == 0) _sent.Close(sent.Batch);
            (number, count) = (number + part, count - part);
        }
    }

    private BranchException ErrorOf(Failure failure, long index) => failure.TimedOut
        ? new BranchTimeoutException(run.Branch.Name, index, member.Id, run.Options.ItemLimit ?? TimeSpan.Zero)
        : new BranchException(run.Branch.Name, index, member.Id, failure.Reason);

    private void Answer(Batch<TIn, TOut> batch, int offset, TOut value, BranchException? error, TimeSpan took, long now)
    {
        if (error is not null && run.Options.OnError == BranchErrorPolicy.Stop)
        {
            run.Fail(error);
            return;
        }
        var slice = batch.Slice;
        var wait = run.Time.GetElapsedTime(slice.ReadAt, now) - took;
        var result = new BranchResult<TOut>(slice.First + offset, value, error, member.Id, batch.Attempt, wait > TimeSpan.Zero ? wait : TimeSpan.Zero, took);
        lock (slice) // parts of it may be at several workers
        {
            if (slice.Answer(offset, result, run.Line.Order) && slice.Answered == slice.Count) run.Line.Finish(slice);
        }
        if (--batch.Left == 0) _sent.Close(batch);
    }

    private void Refuse(Batch<TIn, TOut> batch, int offset, BranchException error)
    {
        lock (_answering) Answer(batch, offset, default!, error, TimeSpan.Zero, run.Time.GetTimestamp());
    }

    private void GiveBack(Batch<TIn, TOut> batch)
    {
        var rest = batch.Rest();
        if (batch.Attempt < maxAttempts)
        {
            run.Line.Return(rest);
            return;
        }
        foreach (var (first, count) in rest.Ranges)
            for (var offset = first; offset < first + count; offset++)
                Refuse(batch, offset, new BranchLostException(run.Branch.Name, batch.Slice.First + offset, member.Id, batch.Attempt));
    }

    private static bool IsBroken(Exception error) =>
        error is OperationCanceledException or RpcException or InvalidOperationException or IOException or TimeoutException;
}
