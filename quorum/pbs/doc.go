// Package pbs predicts how stale reads are, and how long reads and writes take, for N replicas of which
// reads wait for R and writes for W: probabilistically bounded staleness (Bailis,
// Venkataraman, Franklin, Hellerstein, Stoica: Probabilistically Bounded Staleness for Practical Partial Quorums,
// PVLDB 5(8), 2012).
//
// It imports nothing of this module, and works for any system that writes to all replicas and
// waits for some.
//
// # Smallest use
//
//	disk := pbs.Mixture{{38, pbs.Pareto{Scale: 1050 * time.Microsecond, Shape: 1.51}}, {62, pbs.Exponential(5 * time.Millisecond)}}
//	net := pbs.Exponential(time.Millisecond)
//	m := pbs.Model{R: 1, W: 1, Replicas: pbs.Same(3, pbs.Legs{Write: disk, Ack: net, Read: net, Response: net})}
//	p, err := m.Predict(pbs.Simulation{})
//	p.Consistent(10 * time.Millisecond)  // how likely a read then has the write
//	p.Until(0.999)                       // when it is that likely
//	p.Read(0.99)                         // how long reads take
//
// From a running system, a [Live] for each replica has the round trips that were measured, and Live.Redrawn what a
// Model needs to say how sure it is of what they lead to. [Recommend] compares all R and W with a [Target].
//
// # What is simulated
//
// A trial is a write and a read (WARS, section 5.1 of the paper). The write reaches replica i after
// W_i, and its acknowledgement comes back after A_i; it is acknowledged after w, the W-th smallest of
// W_i + A_i. The read starts t later, looks at replica i after R_i, and has the answer after S_i
// more; it returns the latest of the R first answers. It is consistent if one of these
// replicas had the write when it looked: w + t + R_i >= W_i. So each trial has a threshold
// of its own, the least over the R answers of W_i - R_i - w, from which on it is
// consistent, and [Prediction.Until] is a quantile of these.
//
// That is not the same as to go up in t until the share of consistent trials reaches the target, with new
// trials at each step. Each step is another chance for noise to reach the target too early, and none
// to take it back, so the answer is too low, and the lower the finer the steps. The paper's t were found like
// that: exact quantiles are 3 to 14 % higher, and steps of a hundredth to a four-hundredth of them, with its
// 50,000 trials each, explain what it has in all eight cases. The tests print both.
//
// # Guarantees
//
// Intervals hold the truth of the Model at least as often as Simulation.Confidence says, and their estimate always. They
// know of the noise of trials; with [Live.Redrawn] also of how few round trips were measured, of what cannot be told as
// they are divided, and of the width of buckets. They do not know whether the Model is that of the system. Each is
// right that often by itself; of many at once, some are wrong.
//
// That is more than one thinks: 6,000 round trips of each kind, of links with a mean of 2 ms, leave a probability
// of 0.75 uncertain by 0.02 either way, at 95 %. 100,000 trials alone leave 0.003.
//
// Where R+W > N the answer is 1, without trials.
//
// What is not in the model: replicas that are away or lose what they had (a part of a [Mixture] that takes very
// long stands for messages that are lost), and whatever brings a write to replicas besides the write itself: read
// repair, hints, anti-entropy. The latter make reads less stale than predicted. Legs are independent of one
// another, but for Ack and Response that are nil: a pause that delays all replicas at once makes reads more
// stale than predicted, or less.
//
// # What round trips tell
//
// A coordinator knows W+A and R+S. Latencies follow from these. Consistency depends on how
// they are divided, and no single clock tells: see [Split]. For the workloads of the paper, R = W = 1,
// how likely a read is consistent at t = 0 and 1 ms after the write:
//
//	            legs known      Alike           Halves          Stalest
//	LNKD-SSD    0.973  0.995    0.972  0.994    0.975  0.999    0.334  0.977
//	LNKD-DISK   0.441  0.586    0.436  0.582    0.627  0.767    0.334  0.515
//	YMMR        0.896  0.914    0.890  0.908    0.919  0.924    0.334  0.629
//
// Alike is near where acknowledgements are like answers, as they are there. Who wants a bound and not an
// estimate takes Stalest, where reads and writes of a replica are independent, or one-way times by clocks that agree.
//
// # Concurrency
//
// A [Histogram] and a [Live] are safe for concurrent use; to record neither locks nor allocates. All else is
// values that are not changed. [Model.Predict] starts the goroutines that Simulation.Workers asks
// for, and waits for them. Nothing runs in the background.
//
// # Errors
//
// [*ParameterError], several joined: what was asked for makes no sense. Nothing panics, and nothing
// is not a number: durations are from zero to 36 years.
//
// # Testing
//
// One Seed, one result. The tests print the table of the paper beside what comes of it here, the
// intervals' share of truths, and what three nodes of package quorum do beside what their round trips
// had predicted: the interval of the one and that of the other meet, and do not where the prediction is of other links.
//
// # Costs
//
// A trial of three replicas takes 0.2 microseconds if legs are exponential, 0.5 if they are the mixtures of the
// paper, and 0.4 from histograms; with the sorting at the end, a Predict of 100,000 takes 75 ms, and 2.4 MB.
// [Histogram.Record] takes 6 ns; a Histogram has 17 kB. To divide round trips by Alike takes some 10 ms, and
// [Live.Redrawn] that so many times; each that was redrawn adds 8 ms to a Predict, and 240 kB.
//
// # Sources
//
// The model, versions and monotonic reads: the paper, sections 3 and 5. Intervals of probabilities: Clopper, Pearson, The
// Use of Confidence or Fiducial Limits, Biometrika 26, 1934. Intervals of quantiles: order statistics and the binomial
// distribution (David, Nagaraja: Order Statistics, 2003, section 7.1). What was measured: Efron, Tibshirani, An
// Introduction to the Bootstrap, 1993; Student, The Probable Error of a Mean, Biometrika 6, 1908. Dividing round trips:
// Richardson, JOSA 62, 1972; Lucy, Astronomical Journal 79, 1974.
package pbs
