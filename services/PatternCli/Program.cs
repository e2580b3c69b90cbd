using DistributedPatterns.PatternCli;

return await CommandLine.RunAsync(args, Console.Out, Console.Error);
