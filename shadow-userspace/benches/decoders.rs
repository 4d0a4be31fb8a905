//! What the HTTP/1 decoders cost, in time per message: `cargo bench -p shadow-userspace --bench decoders`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shadow_userspace::http::{DecoderLimits, RequestDecoder, RequestEvent};

/// 400 bytes, 10 headers: a browser's GET without its cookies.
const GET_400: &str = "GET /api/v1/pets/4711?fields=name,tag,owner&expand=1 HTTP/1.1\r\n\
    Host: petstore.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-cache\r\n\
    X-Request-Id: 7f3c2d1e9b8a4c\r\n\
    X-Forwarded-For: 192.0.2.17\r\n\
    DNT: 1\r\n\r\n";

/// 150 bytes, 5 headers: a health check or a simple client.
const GET_150: &str = "GET /health/ready HTTP/1.1\r\n\
    Host: petstore.example.com:8080\r\n\
    User-Agent: curl/8.14.1\r\n\
    Accept: */*\r\n\
    X-Id: 7f3c2d1e9b8a4c05\r\n\
    X-Request-Source: lb-01\r\n\r\n";

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for (name, bytes) in [("GET of 400 bytes", GET_400), ("GET of 150 bytes", GET_150)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut decoder = RequestDecoder::new(DecoderLimits::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                decoder.push(black_box(bytes.as_bytes()), |event| match event {
                    RequestEvent::Failed(_) | RequestEvent::NotHttp1(_) => panic!("{event:?}"),
                    event => drop(black_box(event)),
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
