"""`python -m benchmarks.fleet`: one centre, and a thousand sites that follow it.

What is real: the centre is `skerry serve` in a process of its own, and so are the twenty edges of the second
part. All sites follow over HTTP and mutual TLS 1.3, each with a key and a certificate of its own and a
connection of its own, by the product's own follower.

What is not: the thousand sites live in a few processes and keep what they hold in memory (`site`), with what
was there at the start held once for all of a process, and each signature checked once in it: so many sites
would not have two cores together. They were entered in the centre's journal and given
their certificates without `skerry join`. They bring no bytes of images. The line that is cut is a proxy on
this machine (`skerry.lab.link`). All of it shares the cores with the centre.
"""
